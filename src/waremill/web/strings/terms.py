"""How the console calls things in 中文: one word for each noun, the same on every page.

A test holds every text of the console, and every sentence it says, to this list. The nouns are
those of docs/concepts.md.
"""

from __future__ import annotations

from typing import NamedTuple


class Term(NamedTuple):
    """A thing: its English name, its Chinese one, and words that are not used for it.

    `english` is a regular expression for a text that speaks of the thing, where its words tell
    that; then the Chinese says `chinese`, which is a regular expression, too, where several words
    will do (a unit for counting, a part of the name). Empty, it is not looked for.
    """

    name: str
    chinese: str
    english: str = ""
    never: tuple[str, ...] = ()


TERMS = (
    Term("product", "商品", r"\bproducts?\b", ("产品", "货品")),
    Term("catalogue", "商品库", r"\bcatalogues?\b", ("目录", "产品库")),
    Term("selection", "圈选", r"\bselections?\b", ("圈品", "筛选集", "选品")),
    Term("target", "目标", r"\btargets?\b", ("投放",)),
    Term("template", "模板", r"\btemplates?\b", ("模版", "范本")),
    Term("pipeline", "流程", r"\bpipelines?\b", ("管道", "流水线", "管线")),
    Term("step", "步骤|一步|步", r"\bsteps?\b", ()),
    Term("run", "任务", r"\bruns\b", ("作业", "运行任务")),
    Term("schedule", "计划", r"\bschedules?\b", ("定时器", "日程")),
    Term("trial", "试跑", r"\btrials?\b", ("试运行", "试验", "预跑")),
    Term("item", "条目|条", r"\bitems?\b", ("项目条",)),
    Term("finding", "问题", r"\bfindings?\b", ("检查发现", "发现项")),
    Term("review", "审|review", r"\breview(ed|s)?\b", ("评审", "复核", "审阅")),
    Term("accept", "通过|accept", r"\baccept(ed|s)?\b", ("采纳", "接收")),
    Term("reject", "驳回|拒收|拒绝|被拒|不接受|reject", r"\breject(ed|s)?\b", ("打回",)),
    Term("approve", "批准", r"\bapprov(ed?|al|es)\b", ("审批",)),
    Term("lot", "批", r"\blots?\b", ("抽检批",)),
    Term("sample", "样|抽", r"\bsampled?\b", ()),
    Term("budget", "预算", r"\bbudgets?\b", ("额度上限",)),
    Term("key of a product", "编号", r"\bkey column\b", ("商品键", "主键", "货号列")),
    Term(
        "token of a text",
        "词元",
        r"\btokens (in|out)\b|\btokens of past\b",
        (" tokens", "Tokens", "标记数"),
    ),
    Term("reply", "回复", r"\b(answered before|replies|reply)\b", ("回答", "应答", "答复")),
    Term("call", "调用", r"\bcalls (a minute|by)\b", ("请求数",)),
    Term("list cost", "标价费用", r"\blist cost\b", ("目录价", "标价成本")),
    Term("gold", "标准答案", r"\bgold\b", ("金标", "黄金")),
    Term("glossary", "术语", r"\bglossary\b", ("词汇表",)),
    Term("forbidden terms", "禁用词", r"\bforbidden (terms?|words)\b", ("违禁词", "禁词表")),
    Term("schema", "类目规范|Schema", r"\bschemas?\b", ("类目属性",)),
    Term("channel", "渠道", r"\bchannels?\b", ("频道", "通道")),
    Term("copy that is live", "生效", r"\bis live\b", ("线上文案", "当前文案")),
    Term("draft", "草稿", r"\bdrafts?\b", ("底稿",)),
    Term("user", "用户", r"\busers?\b", ("人员",)),
    Term("team", "团队", r"\bteams?\b", ("小组",)),
    Term("API token", "令牌", r"\bAPI tokens?\b", ("密匙",)),
    Term("who started it", "发起人", r"^(Started|Ordered) by$", ("提交人", "下单人")),
)
"""The nouns an operator meets."""
