"""Feature releases as people have them on their disks: recognised by their structure, described, and converted to a feature folder."""

from nontarget.data.releases import layouts  # noqa: F401  # registers them
from nontarget.data.releases.conversion import convert_release
from nontarget.data.releases.inspection import ReleaseReport, inspect_release
from nontarget.data.releases.labels import read_label_file
from nontarget.data.releases.records import Instance, Options, Release, ReleaseVideo, TimeAxis
from nontarget.data.releases.registry import Layout, available, get_layout, register

__all__ = [
    "Instance",
    "Layout",
    "Options",
    "Release",
    "ReleaseReport",
    "ReleaseVideo",
    "TimeAxis",
    "available",
    "convert_release",
    "get_layout",
    "inspect_release",
    "read_label_file",
    "register",
]
