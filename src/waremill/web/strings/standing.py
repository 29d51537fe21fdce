"""The words for what a text stands on: passages, sentences, votes."""

from __future__ import annotations

STRINGS: dict[str, tuple[str, str]] = {
    "standing.sentences": ("What each sentence stands on", "每句话的依据"),
    "standing.on": ("passage {number}", "段落 {number}"),
    "standing.weakly_on": ("weakly, passage {number}", "较弱：段落 {number}"),
    "standing.product": ("product data", "商品资料"),
    "standing.weakly_product": ("weakly, product data", "较弱：商品资料"),
    "standing.none": ("on nothing", "无依据"),
    "standing.unclear": ("not comparable", "无法比对"),
    "standing.missing": ("stands nowhere: {names}", "资料中没有：{names}"),
    "standing.share": ("{share} of its words stand there", "{share} 的词能在其中找到"),
    "standing.open": (
        "Open passage {number}: {share} of the sentence's words stand there",
        "打开段落 {number}：这句话 {share} 的词能在其中找到",
    ),
    "standing.agreement": (
        "{share} of {count} replies agree",
        "{count} 次回复中 {share} 一致",
    ),
    "standing.agreement_title": ("Agreement of the replies", "多次回复的一致程度"),
    "standing.given": ("Passages given to the model", "提供给模型的段落"),
    "standing.as_seen": (
        "The texts are those the model saw, whatever became of the documents since.",
        "以下是模型当时看到的内容，与文档之后的变化无关。",
    ),
    "standing.in_base": ("In the knowledge base", "在知识库中查看"),
    "standing.gone": (
        "Its document has changed or was removed since, or is another team's.",
        "该文档之后已更改或删除，或属于其他团队。",
    ),
    "standing.not_kept": (
        "The text of this passage was not kept with the item.",
        "条目中没有保存此段落的内容。",
    ),
    "standing.stand_on_it": ("Stands on it", "以此为依据的句子"),
    "standing.key": ("passages it was given", "查看提供的段落"),
    "standing.nothing": ("This text was given no passage.", "此文案没有使用知识库段落。"),
}
