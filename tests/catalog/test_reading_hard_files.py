"""Each of the 30 hard files ends in right rows or in one plain sentence."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import pytest
from reading_whole import Read

from waremill.catalog.reading import read_source
from waremill.errors import SourceError


@pytest.fixture
def hard(shared_data: Path) -> Any:
    return lambda name: Read(read_source(str(shared_data / "hard-files" / name)))


def refusal(shared_data: Path, name: str) -> str:
    with pytest.raises(SourceError) as caught:
        Read(read_source(str(shared_data / "hard-files" / name)))
    text = str(caught.value)
    assert name in text
    assert "\n" not in text
    return caught.value.message


def test_every_file_ends_in_rows_or_one_sentence_within_seconds(shared_data: Path) -> None:
    folder = shared_data / "hard-files"
    with (folder / "NOTES.csv").open(encoding="utf-8") as stream:
        names = [row["file"] for row in csv.DictReader(stream)]
    assert len(names) == 30
    for name in names:
        begun = time.monotonic()
        try:
            read = Read(read_source(str(folder / name)))
        except SourceError as error:
            assert "\n" not in str(error)
        else:
            assert read.rows
            assert len(read.rows) == len(read.numbers)
            assert all(list(row) == list(read.columns) for row in read.rows)
        assert time.monotonic() - begun < 10


def test_chinese_template_has_its_header_below_the_merged_instructions(hard: Any) -> None:
    read = hard("zh_template_with_instructions.xls")
    assert read.sheet == "产品数据"
    assert read.numbers == [3]
    (row,) = read.rows
    assert row["材质*"] == "Q235(碳钢)"
    assert row["标准号*"] == "DIN9021"
    assert row["单重"] == "5.5千克"
    assert row["单重_g"] == 5500
    assert row["一级包装数"] == 200
    assert row["备注"] is None
    assert "row 2" in read.notes


def test_chinese_serial_numbers_stay_text_and_merged_cells_repeat(hard: Any) -> None:
    read = hard("zh_serial_numbers.xlsx")
    assert len(read.rows) == 56
    first, second = read.rows[:2]
    assert first["PCS编码"] == "1111111111111111111111"
    assert second["PACK编码"] == "QQSJK28F152A012242S0080"
    assert second["eblock编码"] == first["eblock编码"] == "A1JB037FPHA03224400489"
    assert (second["序号"], second["ID号"]) == (1, 11)
    assert first["异常情况"] is None
    assert read.rows[-1]["PACK编码"] == "AASJK28F152A012239S0052"
    assert "CPU3: V1.0.29.5E.2.1.6\n" in first["程序版本号"]


def test_dates_are_iso_text_and_their_display_texts_stay(hard: Any) -> None:
    read = hard("zh_us_date_formats.xlsx")
    assert len(read.rows) == 27
    assert {row["date"] for row in read.rows} == {"2020-01-01T01:01:01"}
    assert read.rows[3]["dateStringCn"] == "2020年1月1日"
    assert read.rows[9]["dateStringUs"] == "2020/1/1 1:01 AM"
    assert read.rows[1]["number"] == 1.1111
    assert read.rows[1]["numberStringCn"] == "111.11%"


def test_comments_and_links_leave_only_the_cells_text(hard: Any) -> None:
    read = hard("zh_comments_links_merges.xlsx")
    assert read.columns == ("第一列", "第二列")
    assert [row["第一列"] for row in read.rows] == [
        "普通超链接", "多单元格超链接A", "多单元格超链接C", "批注", "合并单元格",
    ]  # fmt: skip
    assert [row["第二列"] for row in read.rows] == [
        None, "多单元格超链接B", "多单元格超链接D", None, None,
    ]  # fmt: skip


def test_formulas_give_their_values_and_the_second_sheet_is_noted(hard: Any) -> None:
    read = hard("zh_formula_two_sheets.xlsx")
    assert [row["公式"] for row in read.rows] == [f"字符串{n}{n + 1}" for n in range(10)]
    assert [row["数字标题"] for row in read.rows] == list(range(1, 11))
    assert "“Sheet2”" in read.notes


def test_a_byte_order_mark_is_not_part_of_the_first_header(hard: Any) -> None:
    read = hard("zh_bom.csv")
    assert read.columns == ("姓名", "年纪")
    assert len(read.rows) == 10
    assert read.rows[9] == {"姓名": "姓名9", "年纪": 20}


def test_a_merged_header_names_each_of_its_columns(hard: Any) -> None:
    read = hard("merged_cells.xlsx")
    assert read.rows == [
        {"Row Merge": "Column Merge", "Row Merge_2": "Chunk Merged", "Not Merged": None}
    ]


def test_the_1904_epoch_is_honoured(hard: Any) -> None:
    read = hard("dates_1904.xlsx")
    assert [row["column_1"] for row in read.rows] == ["2021-01-01", "2021-01-02", "255:10:10"]
    assert [row["column_2"] for row in read.rows] == [15, 16, 17]
    assert "no header" in read.notes


def test_a_sheet_of_error_cells_has_no_rows(shared_data: Path) -> None:
    message = refusal(shared_data, "error_cells.xlsx")
    assert "no rows" in message
    assert "error cells" in message


def test_a_workbook_of_pictures_has_no_rows(shared_data: Path) -> None:
    message = refusal(shared_data, "picture_only.xlsx")
    assert "no rows" in message
    assert "2 pictures" in message


def test_a_macro_workbook_without_cells_has_no_rows(shared_data: Path) -> None:
    assert "no rows" in refusal(shared_data, "macros.xlsm")


def test_a_hidden_sheet_is_named_and_not_read(shared_data: Path) -> None:
    assert "hidden sheets were skipped: “Sheet2”" in refusal(shared_data, "hidden_sheet.xlsx")


def test_a_macro_sheet_the_parser_cannot_read_is_said(shared_data: Path) -> None:
    assert "macro or dialog sheet" in refusal(shared_data, "blank_sheet_types.xlsm")


def test_running_text_is_no_table(shared_data: Path) -> None:
    assert "not a table" in refusal(shared_data, "zh_gb18030.txt")


def test_repeated_and_blank_rows_of_open_document_are_right(hard: Any) -> None:
    read = hard("ods_repeated_rows.ods")
    assert read.columns == ("A", "B")
    assert read.rows == [{"A": "C", "B": "D"}] * 4
    assert read.numbers == [2, 3, 6, 8]


def test_a_header_below_blank_rows_and_a_note_is_found(hard: Any) -> None:
    read = hard("header_not_in_row1.xlsx")
    assert read.rows == [{"Columns": "put data here", "Column A": 1, "Column B": 2, "Column C": 3}]
    assert read.numbers == [10]


def test_duplicate_and_blank_headers_get_names_of_their_own(hard: Any) -> None:
    read = hard("duplicate_unnamed_columns.xlsx")
    assert read.columns == ("column_1", "var2", "column_3", "var2_2")
    assert read.rows[1] == {"column_1": 2, "var2": "b", "column_3": 2.1, "var2_2": "bb"}


def test_preamble_and_footer_are_left_out_with_a_note(hard: Any) -> None:
    read = hard("preamble_and_footer.xlsx")
    assert len(read.rows) == 10
    assert read.rows[0] == {
        "Name": "David Bowie",
        "Profession": "musician",
        "Age": 69,
        "Has kids": True,
        "Date of birth": "1947-01-08",
        "Date of death": "2016-01-10",
    }
    assert read.rows[-1]["Name"] == "George Michael"
    assert "rows 16–19" in read.notes
    assert "“other”" in read.notes


def test_numbers_stored_as_text_stay_text(hard: Any) -> None:
    read = hard("texty_numbers.xlsx")
    assert read.rows[1]["number"] == 2147483647
    assert read.rows[1]["number as text"] == "2147483647"
    assert read.rows[5]["number as text"] == "-2147483649"


def test_an_old_workbook_keeps_its_vietnamese(hard: Any) -> None:
    read = hard("vietnamese.xls")
    assert [row["Mô tả"] for row in read.rows][:3] == [
        "BÙN SÉT", "SÉT lẫn sạn laterite", "CÁT THÔ lẫn sạn thạch anh",
    ]  # fmt: skip
    assert len(read.rows) == 6


def test_a_table_below_pages_of_prose_is_found(hard: Any) -> None:
    read = hard("bilingual_government.xlsm")
    assert read.columns == ("Data item", "Description", "Definition")
    assert [row["Data item"] for row in read.rows] == [
        "PCT_LA_code", "PCT_LA_name", "DOLS_year", "DOLS_semester", "Total_applications_granted",
        "Total_applications_not_granted", "Currently_subject_to_stand_auth",
        "Urgent_authorisations_granted", "Urgent_authorisations_not_granted", "Reviews_conducted",
    ]  # fmt: skip
    assert read.rows[1]["Definition"] == "The PCT or LA in receipt of the authorisation request"


def test_utf_16_is_read(hard: Any) -> None:
    read = hard("utf16le.csv")
    assert len(read.rows) == 327
    assert len(read.columns) == 19
    assert read.rows[0]["Organisation_name"] == "Enfield PCT"
    assert read.rows[0]["Organisation_classification"] == "NHS Facilities"
    assert read.rows[-1]["Organisation_code"] == "NYA04"


def test_a_padded_head_and_footnotes_are_left_out(hard: Any) -> None:
    read = hard("padded_head.csv")
    assert read.columns[:3] == ("column_1", "1985", "1993")
    assert read.rows[1]["column_1"] == "Gefäßchirurgie"
    assert read.rows[1]["2000"] == "575"
    unfall = next(row for row in read.rows if row["column_1"] == "Unfallchirurgie")
    assert unfall["1993"] == "1.613"
    assert read.rows[-1]["column_1"] == "Strahlentherapie"
    assert not read.problems


def test_a_header_of_several_rows_is_joined(hard: Any) -> None:
    read = hard("multiline_headers.xlsx")
    price = "Cumulative impact of changes on cost of food basket"
    assert read.rows == [
        {
            "Region": "A",
            "Caloric contribution (%)": "B",
            f"{price} from previous quarter": "C",
            f"{price} from baseline (%)": "D",
        }
    ]


def test_leading_zeros_are_kept(hard: Any) -> None:
    assert [row["value"] for row in hard("leading_zeros.csv").rows] == ["01", "002", "00003"]


def test_duplicate_headers_are_numbered(hard: Any) -> None:
    read = hard("duplicate_headers.csv")
    assert read.rows[0] == {"id": 1101, "name": "John", "id_2": 0, "age": 30, "id_3": "001101"}


def test_line_breaks_and_doubled_quotes_stay_inside_their_cell(hard: Any) -> None:
    read = hard("linebreaks_quotes.csv")
    assert len(read.rows) == 4
    assert read.rows[0]["Copy"].startswith('This is a "test csv file"\nwith both "line breaks"')
    assert {row["URL"] for row in read.rows} == {"http://google.com"}


def test_semicolons_with_decimal_commas_are_told_apart(hard: Any) -> None:
    read = hard("semicolon.csv")
    assert read.columns == ("This", "Are", "Headers")
    assert read.rows[0]["Headers"] == "25,5"
    assert read.rows[1] == {"This": "Two colons and a comma", "Are": "B|3", "Headers": ":,:"}


def test_a_backslash_escapes_the_delimiter(hard: Any) -> None:
    read = hard("escaped_dialect.csv")
    assert len(read.rows) == 100
    film = next(row for row in read.rows if row["tid"] == "tt0057012")
    assert film["title"].startswith("Dr. Seltsam, oder wie ich lernte, die Bombe zu lieben")
    assert film["Western"] == 0


def test_an_everyday_sheet_keeps_its_flags_and_loses_its_total(hard: Any) -> None:
    read = hard("attendance.xlsx")
    assert len(read.rows) == 23
    assert read.columns[:2] == ("Date", "Ben Ashley")
    assert read.rows[0]["Date"] == "2020-10-01"
    assert read.rows[0]["Tom Brooks"] is True
    assert "total" in read.notes
