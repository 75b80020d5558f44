import pytest

from tagbelt.data.catalogue.entries import file_source, find_entry, read_catalogue
from tagbelt.errors import DataError

ENTRY = """
[small]
title = "A small set"
language = "en"
columns = ["token", "tag"]
home = "nowhere"
licence = "CC0"
"""
FILE = f"""
[[small.files]]
name = "train.conll"
address = "https://example.org/train.conll"
sha256 = "{"0" * 64}"
size = 1
"""


@pytest.fixture
def read(tmp_path):
    def run(text):
        path = tmp_path / "catalogue.toml"
        path.write_text(text, encoding="utf-8")
        return read_catalogue(path)

    return run


def test_our_own_catalogue():
    catalogue = read_catalogue()
    assert {"wnut17", "ncbi-disease", "resume"} <= catalogue.keys()
    files = [file for entry in catalogue.values() for file in entry.files]
    assert len({file.sha256 for file in files}) == len(files)
    for entry in catalogue.values():
        assert {"token", "tag"} <= set(entry.columns)
        assert entry.licence
    for file in files:  # an address that names a commit gives the same for ever
        assert file.address.split("/")[5].isalnum()
        assert len(file.address.split("/")[5]) == 40


def test_a_set_is_found_or_told_how_to_come_by():
    catalogue = read_catalogue()
    assert find_entry(catalogue, "wnut17").licence == "CC BY 4.0"
    with pytest.raises(DataError, match=r"conll2003 is not to be fetched .*NIST"):
        find_entry(catalogue, "conll2003")
    with pytest.raises(DataError, match="the catalogue has no 'nothing'; it has wnut17"):
        find_entry(catalogue, "nothing")


def test_a_catalogue_of_ones_own(read):
    assert read(ENTRY + FILE)["small"].files[0].size == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "is not TOML"),
        ("x = " + "9" * 5000, "is not TOML"),
        ("x = " + "[" * 100_000, "is not TOML"),
        (ENTRY, "small: needs files of different names, or `how`"),
        (ENTRY + FILE + FILE, "small: needs files of different names"),
        (ENTRY + FILE.replace("https", "file"), "small.files.0.address"),
        (ENTRY + FILE.replace('"train', '"../train'), "small.files.0.name"),
        (ENTRY + FILE.replace("000", "00x"), "small.files.0.sha256"),
        (ENTRY + FILE.replace("size = 1", ""), "small.files.0.size: Field required"),
        (ENTRY + 'colour = "red"', "small.colour"),
        (ENTRY.replace("[small]", '["../small"]'), "cannot be the name of a folder"),
    ],
)
def test_a_catalogue_that_is_wrong_is_told_where(read, text, message):
    with pytest.raises(DataError) as caught:
        read(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("place", ["small/train.conll", "train.conll"])
def test_a_file_comes_from_its_address_or_from_a_mirror(read, tmp_path, place):
    (file,) = read(ENTRY + FILE)["small"].files
    assert file_source(file, "small", None) == "https://example.org/train.conll"
    address = file_source(file, "small", "http://mirror.example/a/")
    assert address == "http://mirror.example/a/small/train.conll"
    with pytest.raises(DataError, match=r"has neither small/train\.conll nor train\.conll"):
        file_source(file, "small", tmp_path)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    assert file_source(file, "small", tmp_path) == tmp_path / place


def test_a_byte_order_mark_is_no_part_of_a_catalogue(read):
    assert read("\ufeff" + ENTRY + FILE) == read(ENTRY + FILE)
