"""MSR-VTT's split 1k-A: a video is the mean of its frames, in both directions, one video in memory at a time."""

import shutil

import numpy as np
import pytest

from ernie_vil2.data.videos.frames import frames_evenly
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.evaluation.benchmarks.registry import benchmark, read_sets
from ernie_vil2.evaluation.benchmarks.retrieval import msr_vtt
from ernie_vil2.evaluation.benchmarks.run import run_benchmark
from tests.data.videos.drawn import colour, write_video
from tests.evaluation.benchmarks.makers import CLEAN, WINDOWS, put

HEADER = "key,vid_key,video_id,sentence"
HUES = {"video7010": (2, 18), "video7011": (6, 8), "video7012": (26, 18)}
"""{video: the numbers of the colours of its first and its second half}"""


class Seer:
    """Stands in for a model: the embedding of a picture is its mean colour, of a sentence the numbers in it."""

    embed_dim = 3

    def __init__(self):
        self.sizes = []

    def encode_image(self, images, on_error):
        self.sizes.append(len(images))
        return np.stack([image.reshape(-1, 3).mean(axis=0) for image in images]).astype(np.float32), []

    def encode_text(self, texts):
        return np.array([[float(word) for word in text.split()[-3:]] for text in texts], np.float32)


def unit(vector):
    return vector / np.linalg.norm(vector)


def sentence(video):
    """One whose stand-in embedding is that of the video."""
    mean = sum(unit(colour(number).astype(float)) for number in HUES[video])
    return "a film of " + " ".join(f"{value:.4f}" for value in mean)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of drawn videos, each of two colours for half of its time."""
    folder = tmp_path_factory.mktemp("msrvtt")
    for name, halves in HUES.items():
        write_video(folder / f"{name}.mp4", 20, colours=lambda number, halves=halves: colour(halves[number >= 10]))
    write_video(folder / "video9999.mp4", 5)  # of another split
    return folder


@pytest.fixture
def published(tmp_path, videos):
    """The files as people unpack them."""
    shutil.copytree(videos, tmp_path / "MSRVTT" / "videos" / "all")
    write_rows(tmp_path)
    return tmp_path


def write_rows(folder, style=CLEAN, videos=HUES):
    rows = [f"ret{number},msr{video[5:]},{video},{sentence(video)}" for number, video in enumerate(videos)]
    return put(folder / "MSRVTT_JSFUSION_test.csv", [HEADER, *rows], style)


def measured(data, model=None, name="msr-vtt@1k-a", **options):
    return benchmark(name).evaluate(model or Seer(), name, data, **{"allow_counts": True, **options})


@pytest.mark.parametrize("style", [CLEAN, WINDOWS])
def test_both_directions_are_measured_on_means_of_frames(published, style):
    write_rows(published, style)
    model = Seer()
    found = measured(published, model)
    [result] = found.results
    assert model.sizes == [12, 12, 12]  # one video at a time
    assert result.benchmark == "msr-vtt" and result.task == "retrieval"
    assert result.counts["images"] == result.counts["texts"] == 3
    assert {result.metrics[f"{way}_r{k}"] for way in ("t2i", "i2t") for k in (1, 5, 10)} == {100.0}
    assert result.metrics["mean_recall"] == 100 and result.provenance["frames"] == 12
    assert "3 videos and 3 captions instead of 1,000 videos and 1,000 captions" in result.notes[0]
    assert any("12 evenly spaced frames" in note for note in result.notes)
    assert found.image(0).shape == (48, 48, 3)


def test_an_embedding_is_the_normalised_mean_of_normalised_ones(videos):
    path = videos / "video7010.mp4"
    rows = [unit(frame.pixels.reshape(-1, 3).mean(axis=0)) for frame in frames_evenly(path, 4)]
    found = msr_vtt.video_embedding(Seer(), path, 4)
    assert np.allclose(found, unit(np.mean(rows, axis=0)), atol=1e-6) and found.dtype == np.float32
    assert np.linalg.norm(np.mean(rows, axis=0)) < 0.999


def test_the_number_of_frames_is_an_option(published):
    model = Seer()
    [result] = measured(published, model, frames=2).results
    assert model.sizes == [2, 2, 2] and result.provenance["frames"] == 2
    for wrong in (0, -1, "x", 10**9):
        with pytest.raises(ConfigError):
            measured(published, frames=wrong)


def test_the_whole_set_is_asked_for(published):
    with pytest.raises(DataError, match="gives 3 videos and 3 captions, but 1,000 videos and 1,000 captions belong"):
        measured(published, allow_counts=False)


def test_missing_videos_are_told_or_left_out(published):
    (published / "MSRVTT/videos/all/video7011.mp4").unlink()
    with pytest.raises(DataError, match=r"video 'video7011', named at .*csv:3, is not in .*missing videos: 1 of 3"):
        measured(published, allow_counts=False)
    [result] = measured(published).results
    assert result.counts["images"] == 2 and "missing videos: 1 of 3" in result.notes[0]


def test_of_two_copies_the_one_of_all_splits_counts(published):
    shutil.copytree(published / "MSRVTT/videos/all", published / "MSRVTT/videos/test")
    assert measured(published).results[0].counts["images"] == 3
    (published / "MSRVTT/videos/all").rename(published / "MSRVTT/videos/other")
    with pytest.raises(DataError, match="video 'video7010' is there twice"):
        measured(published)


@pytest.mark.parametrize(
    "lines, reason",
    [
        (["a;b"], "csv:1: the line is not key,vid_key,video_id,sentence"),
        ([HEADER, "ret0,msr1,video7010"], "csv:2: the line has 3 columns"),
        ([HEADER, "ret0,msr1,video7010,a, b"], "csv:2: the line has 5 columns"),
        ([HEADER, "ret0,msr1,video7010,a", "ret1,msr1,video7010,b"], "csv:3: video 'video7010' was already named"),
        ([HEADER, "ret0,msr1,video7010,a", "ret0,msr1,video7011,b"], "csv:3: text 'ret0' was already given"),
        ([HEADER, "ret0,msr1,video7010, "], "csv:2: a caption is empty"),
        ([HEADER], "holds no video with a text"),
    ],
)
def test_bad_rows_are_named(published, lines, reason):
    put(published / "MSRVTT_JSFUSION_test.csv", lines)
    with pytest.raises(DataError, match=reason):
        measured(published)


def test_a_broken_video_is_named(published):
    path = published / "MSRVTT/videos/all/video7012.mp4"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="video7012.mp4: is a web page"):
        measured(published)


def test_there_is_no_other_split_and_nothing_to_train_on(published):
    with pytest.raises(ConfigError, match="no other split than test"):
        measured(published, name="msr-vtt", split="train")
    with pytest.raises(ConfigError, match="has no pairs of images and texts in files"):
        read_sets("msr-vtt", published)


def test_a_lack_of_files_is_told_before_a_model_is_loaded(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(DataError, match="lacks the sentences, looked for as MSRVTT_JSFUSION_test.csv"):
        run_benchmark("msr-vtt@1k-a", tmp_path, tmp_path / "model")


def test_the_checksum_is_of_sentences_and_videos(published):
    first = measured(published).data_sha256
    assert measured(published).data_sha256 == first
    write_video(published / "MSRVTT/videos/all/video7012.mp4", 5)
    assert measured(published).data_sha256 != first
