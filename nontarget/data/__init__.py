"""Data: annotations, feature folders, splits, clips, simulated twins."""

from nontarget.data.annotations import AnnotationFile, read_annotations, read_thumos14_text
from nontarget.data.clips import Clips, LabeledClips, Normalization, make_clips, make_labeled_clips, random_crop, with_instances
from nontarget.data.defaults import DatasetDefaults, book_datasets, defaults_of, register
from nontarget.data.external import read_external_scores
from nontarget.data.folder import read_feature_folder
from nontarget.data.folder_writing import write_feature_folder
from nontarget.data.registry import available, dataset_identity, load_dataset
from nontarget.data.splits import Split, balanced_order, split_dataset, split_record
from nontarget.data.videos import Annotations, DataError, Dataset, LabeledVideo, Video

__all__ = [
    "AnnotationFile",
    "Annotations",
    "Clips",
    "DataError",
    "Dataset",
    "DatasetDefaults",
    "LabeledClips",
    "LabeledVideo",
    "Normalization",
    "Split",
    "Video",
    "available",
    "balanced_order",
    "book_datasets",
    "dataset_identity",
    "defaults_of",
    "load_dataset",
    "make_clips",
    "make_labeled_clips",
    "random_crop",
    "read_annotations",
    "read_external_scores",
    "read_feature_folder",
    "read_thumos14_text",
    "register",
    "split_dataset",
    "split_record",
    "with_instances",
    "write_feature_folder",
]
