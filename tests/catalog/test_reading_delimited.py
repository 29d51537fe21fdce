"""Delimited text: encodings, dialects, bad rows, flat memory."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading_whole import Read, read

from waremill.catalog.readers import delimited
from waremill.catalog.readers.encoding import guess_legacy
from waremill.catalog.reading import Limits, read_source
from waremill.errors import SourceError

FILLER = "".join(f"{number},x,{number}\n" for number in range(8, 40))


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("encoding", "text", "column", "value"),
    [
        ("utf-8-sig", "sku,name\nA1,Crème\n", "name", "Crème"),
        ("utf-16", "sku,name\nA1,香水\n", "name", "香水"),
        ("utf-16-le", "sku,name\nA1,日本の香水\n", "name", "日本の香水"),
        ("utf-16-be", "商品,名称\n一,香水\n", "名称", "香水"),
        ("gbk", "货号,品名\n001,雅诗兰黛小棕瓶精华\n", "品名", "雅诗兰黛小棕瓶精华"),
        ("gb18030", "货号,品名\n001,㐂兰蔻粉水的新装\n", "品名", "㐂兰蔻粉水的新装"),
        ("gbk", "标题\n女士手提包斜挎链条羊皮\n", "标题", "女士手提包斜挎链条羊皮"),
        ("gbk", "标题\n景栋寺庙佛塔掸邦缅甸\n", "标题", "景栋寺庙佛塔掸邦缅甸"),
        ("big5", "名稱,價格\n這是香水的產品名稱,一\n", "名稱", "這是香水的產品名稱"),
        ("cp932", "商品名,価格\nシャンプーとリンス,一\n", "商品名", "シャンプーとリンス"),
        ("cp932", "名前,年齢,住所\n佐藤太郎,三十,東京\n", "住所", "東京"),
        ("euc_kr", "이름,색\n향수와 화장품,흰색\n", "이름", "향수와 화장품"),
        ("cp1251", "артикул;название\nА;Туалетная вода\n", "название", "Туалетная вода"),
        ("cp1252", "sku;name\nA;Crème – “Été” 50 €\n", "name", "Crème – “Été” 50 €"),
        ("cp1252", "sku;name\nA;It’s “new” — don’t wait\n", "name", "It’s “new” — don’t wait"),
    ],
)
def test_the_encoding_is_detected(
    tmp_path: Path, encoding: str, text: str, column: str, value: str
) -> None:
    assert read(write(tmp_path / "a.csv", text, encoding)).rows[0][column] == value


@pytest.mark.parametrize("folder", ["multicpr_zh", "cmrc2018_zh"])
def test_nearly_every_chinese_text_in_gbk_is_read_as_chinese(
    shared_data: Path, folder: str
) -> None:
    """Titles of a shop and articles, each by itself: three of a hundred may be missed."""
    corpus = shared_data / "knowledge-and-questions" / folder / "corpus.jsonl"
    texts = [json.loads(line)["text"] for line in corpus.read_text("utf-8").splitlines()]
    samples = [text.encode("gb18030") for text in texts if not text.isascii()]
    wrong = sum(guess_legacy(one) != "gb18030" for one in samples)
    assert wrong <= 0.03 * len(samples)


def test_lines_in_another_encoding_are_read_by_themselves_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_bytes(
        "sku,name\nA,香水 é\n".encode() * 3 + "B,Lancôme\n".encode("cp1252") + "C,喜\n".encode()
    )
    result = read(path)
    assert [row["name"] for row in result.rows][-2:] == ["Lancôme", "喜"]
    assert "1 line is not UTF-8" in result.notes


def test_gbk_lines_among_utf_8_are_read_as_chinese(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_bytes(b"sku,name\n" + "A,香水\n".encode() * 4 + "B,雅诗兰黛的香水\n".encode("gbk"))
    assert read(path).rows[-1]["name"] == "雅诗兰黛的香水"


def test_a_stray_quote_or_ragged_row_is_a_problem_and_the_others_are_kept(tmp_path: Path) -> None:
    text = (
        'sku,name,price\n1,ok,1\n2,"stray,2\n3,fine,3\n4,"a "" b",4\n5,12" disc,5\n'
        f"6,too,long,7\n7,short\n{FILLER}"
    )
    result = read(write(tmp_path / "a.csv", text))
    assert [number for number, _ in result.problems] == [3, 7, 8]
    reasons = [reason for _, reason in result.problems]
    assert "never closed (line 3)" in reasons[0]
    assert reasons[1] == "it has 4 cells, the header 3"
    assert reasons[2] == "it has 2 cells, the header 3"
    assert [row["sku"] for row in result.rows][:5] == ["1", "3", "4", "5", "8"]
    assert result.rows[2]["name"] == 'a " b'
    assert result.rows[3]["name"] == '12" disc'
    assert len(result.rows) == 36


def test_an_unclosed_quote_far_from_the_end_does_not_swallow_the_file(tmp_path: Path) -> None:
    rows = [f"{number},name {number},{number}" for number in range(5_000)]
    rows[100] = '100,"never closed,100'
    result = read(write(tmp_path / "a.csv", "id,name,price\n" + "\n".join(rows) + "\n"))
    assert len(result.rows) == 4_999
    assert [number for number, _ in result.problems] == [102]


def test_a_stray_quote_in_every_row_is_read_in_linear_time(tmp_path: Path) -> None:
    rows = "".join(f'{n},"stray {n},{n}\n{n},fine,{n}\n' for n in range(5_000))
    begun = time.monotonic()
    result = read(write(tmp_path / "a.csv", "id,name,price\n0,a,0\n" + rows))
    assert time.monotonic() - begun < 10
    assert len(result.rows) == 5_001
    assert len(result.problems) == 1_000


def test_quoted_line_breaks_keep_the_row_numbers(tmp_path: Path) -> None:
    result = read(write(tmp_path / "a.csv", 'sku,name\n1,"a\nb"\n2,c\n'))
    assert result.rows[0]["name"] == "a\nb"
    assert result.numbers == [2, 3]


def test_rows_that_leave_out_blank_cells_are_kept_where_all_do(tmp_path: Path) -> None:
    text = "sku,name,colour,price\n" + "".join(f"{n},name\n" for n in range(10, 20))
    result = read(write(tmp_path / "a.csv", text))
    assert len(result.rows) == 10
    assert result.rows[0] == {"sku": "10", "name": "name", "colour": None, "price": None}
    assert "end early" in result.notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_sniffed(tmp_path: Path, delimiter: str) -> None:
    lines = ["sku,name,price", "A,one; two,1", "B,three | four,2"]
    text = "\n".join(line.replace(",", delimiter) for line in lines if delimiter in ",;\t|")
    text = text.replace(f"one{';'} two", '"one; two"').replace("three | four", '"three | four"')
    result = read(write(tmp_path / "a.txt", text + "\n"))
    assert result.columns == ("sku", "name", "price")
    assert result.rows[0] == {"sku": "A", "name": "one; two", "price": 1}


def test_a_line_that_names_the_separator_is_not_data(tmp_path: Path) -> None:
    result = read(write(tmp_path / "a.csv", "sep=;\r\nsku;name\r\n1;x\r\n"))
    assert result.rows == [{"sku": "1", "name": "x"}]
    assert result.numbers == [3]


def test_old_line_ends_are_read(tmp_path: Path) -> None:
    assert len(read(write(tmp_path / "a.csv", "a,b\r1,x\r2,y\r")).rows) == 2


def test_zero_bytes_are_dropped(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "sku,name\n1,x\x00y\n2,z\n")).rows[0]["name"] == "xy"


def test_plain_number_columns_become_numbers_and_codes_stay_text(tmp_path: Path) -> None:
    text = (
        "sku,year,price,version,zip,long,german,float\n"
        "1,2015,19.90,1.10,01067,1234567890123456,575,1.1000000000000001\n"
        "2,2016,5.00,1.9,80331,1,1.613,2.0\n"
    )
    first, second = read(write(tmp_path / "a.csv", text)).rows
    assert first == {
        "sku": "1",
        "year": 2015,
        "price": 19.9,
        "version": "1.10",
        "zip": "01067",
        "long": "1234567890123456",
        "german": "575",
        "float": 1.1,
    }
    assert (second["price"], second["german"], second["float"]) == (5, "1.613", 2)


def test_spreadsheet_errors_are_missing_with_a_note(tmp_path: Path) -> None:
    result = read(write(tmp_path / "a.csv", "sku,price\n1,#N/A\n2,#DIV/0!\n3,4\n"))
    assert [row["price"] for row in result.rows] == [None, None, 4]
    assert "2 cells with an error" in result.notes


def test_a_normalised_column_stands_beside_its_source(tmp_path: Path) -> None:
    text = "sku,size,volume_ml,Weight\n1,50 ml,50 ml,1 kg\n2,1.7 fl oz,10 ml,500g\n3,,,\n"
    result = read(write(tmp_path / "a.csv", text))
    assert result.columns == ("sku", "size", "size_ml", "volume_ml", "Weight", "Weight_g")
    assert [row["size_ml"] for row in result.rows] == [50, 50.275]
    assert [row["Weight_g"] for row in result.rows] == [1000, 500]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b" \n\n \n", "is empty"),
        ("header.csv", b"sku,name\n", "no rows below its header"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is a picture"),
        ("page.csv", b"%PDF-1.7 x", "is a PDF"),
        ("packed.csv", b"\x1f\x8b" + bytes(range(256)), "compressed with gzip"),
        ("noise.csv", bytes(range(256)) * 8, "no kind that can be read"),
        ("shop.csv", b"SQLite format 3\x00" + bytes(100), "sqlite:///FILE?table=NAME"),
    ],
)
def test_what_is_no_table_is_said_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message.replace("?", r"\?")) as caught:
        read(path)
    assert name in str(caught.value)


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path) -> None:
    words = random.Random(1).choices(["amber", "rose", "oud"], k=50)
    peaks = []
    for count in (10_000, 40_000):
        path = tmp_path / f"{count}.csv"
        with path.open("w") as stream:
            stream.write("sku,name,price\n")
            stream.writelines(f"S{n},{words[n % 50]} {n},{n}\n" for n in range(count))
        tracemalloc.start()
        with read_source(str(path)) as reader:
            assert sum(len(batch.rows) for batch in reader.batches()) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6  # 30,000 rows that were kept would take many times that


def test_closing_early_is_fine(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b\n" + "1,x\n" * 5_000)
    with read_source(str(path)) as reader:
        assert len(next(reader.batches()).rows) <= 1000
    reader.close()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.text(alphabet='a1,;"\r\n\t|\\é\x00', max_size=200).map(str.encode),
    )
)
def test_any_bytes_end_in_rows_or_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(b"sku,name\n1,a\n" + content)
    try:
        result = read(path)
    except SourceError as error:
        assert "\n" not in error.message
    else:
        assert all(set(row) == set(result.columns) for row in result.rows)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("sku,name,price\nA1,Crème,1.5\nA2,“Été”,\n" + FILLER, "utf-8"),
        ("Angebot\n\n货号;品名;容量\n001;雅诗兰黛小棕瓶精华;30ml\n002;面霜;50ml\nTotal;;\n", "gbk"),
        ('sku,name\nA,one\nB,two,three\nC,"never closed\nD,four\nE\n' + "F,x\n" * 1500, "utf-8"),
        ("name\n" + "香水\n" * 40, "utf-16"),
    ],
)
def test_a_process_of_its_own_reads_what_this_one_reads(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = write(tmp_path / "a.csv", text, encoding)
    here, elsewhere = (
        Read(way(path, Limits())) for way in (delimited.read_here, delimited.read_elsewhere)
    )
    assert vars(elsewhere) == vars(here)
    assert here.rows


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("a long text without any comma " * 20, Limits()),
        ("sku,name\n", Limits()),
        ("a,b,c\n1,2,3\n", Limits(columns=2)),
    ],
)
def test_a_process_of_its_own_refuses_in_the_same_words(
    tmp_path: Path, text: str, limits: Limits
) -> None:
    path, said = write(tmp_path / "a.csv", text), []
    for way in (delimited.read_here, delimited.read_elsewhere):
        with pytest.raises(SourceError) as caught:
            Read(way(path, limits))
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_large_file_is_read_beside_the_work_on_its_rows(tmp_path: Path) -> None:
    line = f"{'x' * 2000},1\n"
    path = write(tmp_path / "a.csv", "name,n\n" + line * (delimited.LARGE // len(line) + 1))
    with read_source(str(path)) as reader:
        assert sum(len(batch.numbers) for batch in reader.batches()) > 4000
        assert not reader.problems
