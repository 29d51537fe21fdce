"""The words of the page Spend."""

from __future__ import annotations

STRINGS: dict[str, tuple[str, str]] = {
    "spend.by": ("Add up by", "统计维度"),
    "spend.by_month": ("month", "月份"),
    "spend.by_model": ("model", "模型"),
    "spend.by_run": ("run", "任务"),
    "spend.by_user": ("person", "用户"),
    "spend.by_target": ("target", "目标"),
    "spend.by_team": ("team", "团队"),
    "spend.since": ("From day", "起始日期"),
    "spend.until": ("To day", "截止日期"),
    "spend.csv": ("Download CSV", "下载 CSV"),
    "spend.none": ("Nothing was spent in this time.", "这段时间没有费用。"),
    "spend.paid": ("Paid", "已付费"),
    "spend.list": ("List cost", "标价费用"),
    "spend.list_more": ("replayed answers included", "含复用的回复"),
    "spend.calls": ("Calls", "调用"),
    "spend.failed": ("Failed", "失败"),
    "spend.failed_calls": ("{count} failed", "{count} 次失败"),
    "spend.tokens": ("Tokens", "词元"),
    "spend.no_price": ("No price", "无价格"),
    "spend.unpriced": (
        "The price of {count} {count:call is|calls are} unknown; the sums leave them out.",
        "{count} 次调用没有价格，未计入合计。",
    ),
    "spend.nobody": ("not known", "未知"),
}
