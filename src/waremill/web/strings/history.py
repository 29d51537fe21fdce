"""The words of the page History."""

from __future__ import annotations

STRINGS: dict[str, tuple[str, str]] = {
    "history.field": ("Field", "字段"),
    "history.new": ("New value", "新值"),
    "history.show": ("Show", "查看"),
    "history.ask": (
        "Name a product by its key to see every change of its copy.",
        "输入商品编号，查看其文案的所有变更。",
    ),
    "history.none": ("Nothing of this product has changed yet.", "该商品还没有变更。"),
    "history.run": ("Run", "任务"),
    "history.need_run": ("Name the run that is to be taken back.", "请输入要撤回的任务。"),
    "history.revert_run": ("Revert a whole run", "撤回整个任务"),
    "history.sure_run": (
        "Take back everything that run {name} made live, up to {items} {items:item|items}? The "
        "values before it stand again. This is a change of its own, and can be followed here.",
        "撤回任务 {name} 生效的全部内容（最多 {items} 条）？"
        "将恢复到之前的值，此操作也会记录在历史中。",
    ),
    "history.run_reverted": (
        "{name} is taken back: {count} {count:item|items}.",
        "任务 {name} 已撤回：{count} 条。",
    ),
    "history.by": ("by {by}", "操作人 {by}"),
    "history.every_target": ("for every target", "适用于所有目标"),
    "history.how": ("How it was made", "生成过程"),
    "history.how_title": ("How this value was made", "此值的生成过程"),
    "history.step": ("Step", "步骤"),
    "history.template": ("Template", "模板"),
    "history.prompt": ("Prompt", "提示词"),
    "history.not_exact": (
        "Rendered again from what the run was frozen with; it was asked again since.",
        "按任务冻结时的内容重新生成，实际请求可能经过重问。",
    ),
    "history.answer": ("Reply of {model}, {at}", "{model} 的回复，{at}"),
    "history.live": ("live", "当前生效"),
    "history.revert": ("Revert to this", "恢复到此版本"),
    "history.sure_revert": (
        "Make the value of {at} live again for {field}?\n\n{value}",
        "将 {field} 恢复为 {at} 的值？\n\n{value}",
    ),
    "history.reverted": ("{field} is as it was.", "{field} 已恢复。"),
    "history.empty": ("(empty)", "（空）"),
    "origin.model": ("generated", "生成"),
    "origin.human": ("edited by a person", "人工修改"),
    "origin.revert": ("reverted", "恢复"),
}
