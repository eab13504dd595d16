"""What only the book needs.

How is a table made? ``systems.TABLES`` lists its rows, with the paper's row beside each. ``tables.paper_table`` computes or reads their
runs. ``comparison.Comparison`` holds the numbers and renders them, and ``tabs.Tabs`` does so for several data sets.
``pages.table_page`` is what a notebook calls: it adds a warning where a gate of the instrument fails.

The other modules ask whether the instrument can tell rules apart (``gates``, ``decomposition``, ``choices``, ``calibration``), judge the
paper's claims (``claims``), compute its figures (``analysis``), and look for why and when the method helps (``why``, ``shares``, ``when``).
"""
