"""The words for kinds of errors, places in the user's data, checks, and what to do about failures.

An error's kind is said in 中文 where its own sentence has none (see `sentences`).
"""

from __future__ import annotations

STRINGS: dict[str, tuple[str, str]] = {
    "error.placed": ("{place}: {message}", "{place}：{message}"),
    "error.between": (", ", "，"),
    "error.file": ("{value}", "{value}"),
    "error.line": ("line {value}", "第 {value} 行"),
    "error.sheet": ("sheet “{value}”", "工作表“{value}”"),
    "error.row": ("row {value}", "第 {value} 行"),
    "error.column": ("column “{value}”", "“{value}”列"),
    "error.ConfigError": ("{message}", "设置或输入有误（{message}）"),
    "error.DatabaseGone": ("{message}", "数据库没有响应（{message}）"),
    "error.TemplateError": ("{message}", "模板有误（{message}）"),
    "error.SourceError": ("{message}", "文件无法读取（{message}）"),
    "error.NotFound": ("{message}", "没有找到（{message}）"),
    "error.Conflict": ("{message}", "与当前状态冲突（{message}）"),
    "error.Forbidden": ("{message}", "没有权限（{message}）"),
    "error.UserError": ("{message}", "无法执行（{message}）"),
    "error.RateLimited": ("{message}", "模型服务限制了请求频率（{message}）"),
    "error.Unavailable": ("{message}", "模型服务暂不可用（{message}）"),
    "error.Transient": ("{message}", "模型服务暂时出错（{message}）"),
    "error.Refused": ("{message}", "模型拒绝生成（{message}）"),
    "error.Rejected": ("{message}", "模型服务不接受此请求（{message}）"),
    "error.AccessDenied": ("{message}", "模型服务不允许访问（{message}）"),
    "error.ProviderError": ("{message}", "模型服务出错（{message}）"),
    "error.OutputInvalid": ("{message}", "模型的回复不可用（{message}）"),
    "error.LimitReached": ("{message}", "已达到上限（{message}）"),
    "error.WaremillError": ("{message}", "操作未完成（{message}）"),
    "error.ours": ("Something went wrong on our side.", "系统内部出错。"),
    "error.other": ("other causes", "其他原因"),
    # What a failed item's kind asks for.
    "advice.Unavailable": (
        "The endpoint stayed unreachable; “Retry failed” tries these again.",
        "模型服务一直无法连接；点“重试失败条目”再试一次。",
    ),
    "advice.RateLimited": (
        "The account's limits are lower than the model's rpm and tpm in the settings; have them "
        "set, then press “Retry failed”.",
        "账户限额低于设置中模型的 rpm 和 tpm；请管理员调整后点“重试失败条目”。",
    ),
    "advice.Rejected": (
        "The endpoint will not take this request; look at its message and the template.",
        "模型服务不接受此请求；请查看它的说明并检查模板。",
    ),
    "advice.TemplateError": (
        "Complete these products and import them again.",
        "请补全这些商品后重新导入。",
    ),
    # Checks, and what else a finding comes from.
    "rule.channel": ("channel", "渠道规则"),
    "rule.contract": ("contract", "字段要求"),
    "rule.forbidden": ("forbidden", "禁用词"),
    "rule.glossary": ("glossary", "术语表"),
    "rule.grounded-names": ("grounded-names", "名称无依据"),
    "rule.grounded": ("grounded", "语句无依据"),
    "rule.agreement": ("agreement", "多次回复不一致"),
    "rule.grounded-numbers": ("grounded-numbers", "数字无依据"),
    "rule.language": ("language", "语言"),
    "rule.near-duplicates": ("near-duplicates", "文案雷同"),
    "rule.no-markup": ("no-markup", "含标记"),
    "rule.no-placeholders": ("no-placeholders", "占位符"),
    "rule.no-urls": ("no-urls", "网址或联系方式"),
    "rule.refused": ("refused", "模型拒绝"),
    "rule.background-purity": ("background-purity", "背景不纯"),
    "rule.duplicate-pictures": ("duplicate-pictures", "图片重复"),
    "rule.fill": ("fill", "占比不符"),
    "rule.no-overlaid-text": ("no-overlaid-text", "叠加文字"),
    "rule.noise": ("noise", "噪点过多"),
    "rule.product-unchanged": ("product-unchanged", "商品被改变"),
    "rule.resolution": ("resolution", "分辨率不足"),
    "rule.sharpness": ("sharpness", "不清晰"),
    "rule.uncropped": ("uncropped", "商品被裁"),
    "rule.outputinvalid": ("unusable reply", "回复不可用"),
}
