"""The words of publishing: the tab on a run's page, its counts, its stages."""

from __future__ import annotations

STRINGS: dict[str, tuple[str, str]] = {
    "run.tab_publish": ("Publish", "发布"),
    "publish.channel": ("Channel", "渠道"),
    "publish.stage": ("Stage", "阶段"),
    "publish.any_stage": ("not in stages", "不分阶段"),
    "publish.try": ("Dry run", "预演"),
    "publish.do": ("Publish", "发布"),
    "publish.sure": (
        "Publish the accepted items of {run} to “{channel}”?",
        "将任务 {run} 中已通过的条目发布到渠道“{channel}”？",
    ),
    "publish.back": ("Roll back", "回滚"),
    "publish.sure_back": (
        "Publish again what stood before {name}?",
        "重新发布 {name} 之前的内容？",
    ),
    "publish.about": (
        "Only accepted items are published. A dry run says what would change.",
        "只发布已通过的条目。预演会说明将有哪些变化。",
    ),
    "publish.none": ("Nothing of this run was published yet.", "此任务还没有发布过。"),
    "publish.name": ("Publication", "发布"),
    "publish.state": ("State", "状态"),
    "publish.at": ("When", "时间"),
    "publish.by": ("By", "操作人"),
    "publish.new": ("New", "新增"),
    "publish.changed": ("Changed", "变更"),
    "publish.unchanged": ("Unchanged", "未变"),
    "publish.refused": ("Refused", "被拒"),
    "publish.takes_back": ("takes back {name}", "回滚 {name}"),
    "publish.would": (
        "It would publish {new} new and {changed} changed rows; {unchanged} are live already, "
        "{refused} are refused.",
        "将发布新增 {new} 行、变更 {changed} 行；{unchanged} 行已生效，{refused} 行被拒。",
    ),
    "publish.done": (
        "Published {new} new and {changed} changed rows; {unchanged} were live already, "
        "{refused} were refused.",
        "已发布新增 {new} 行、变更 {changed} 行；{unchanged} 行已生效，{refused} 行被拒。",
    ),
    "publish.working": (
        "Publishing: {count} of {total} rows so far. You may leave this page.",
        "正在发布：已处理 {count} / {total} 行。可以离开此页。",
    ),
    "publish.all_refusals": ("All {count} refusals as a file", "全部 {count} 条拒绝原因（文件）"),
    "publish.file": ("File", "文件"),
    "publish.left_out": ("Not accepted, so not published: {count}", "未通过因而未发布：{count}"),
    "publish.why": ("Why", "原因"),
    "publish.key": ("Product", "商品"),
    "publish.place": ("Place", "位置"),
    "publish.column": ("Column", "列"),
    "state.working": ("at work", "进行中"),
    "state.written": ("written", "已写入"),
    "action.publication.start": ("publishing begun", "开始发布"),
    "action.publication.done": ("published", "已发布"),
    "action.publication.rollback": ("rolled back", "回滚发布"),
    "detail.channel": ("channel", "渠道"),
    "detail.stage": ("stage", "阶段"),
    "detail.refused": ("refused", "被拒"),
    "detail.by": ("by", "由"),
}
