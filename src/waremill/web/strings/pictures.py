"""The words of pictures: on the review desk's stage, in lists, as tiles, and as presets."""

from __future__ import annotations

STRINGS: dict[str, tuple[str, str]] = {
    # On the stage.
    "pictures.stage": ("The picture in sight", "当前图片"),
    "pictures.about_view": (
        "{name}: + and − zoom, arrow keys move",
        "{name}：+ 和 − 缩放，方向键移动",
    ),
    "pictures.made": ("made", "成图"),
    "pictures.made_of": ("{name}, as it was made", "{name} 成图"),
    "pictures.before": ("before", "原图"),
    "pictures.before_of": ("before: {column}", "原图：{column}"),
    "pictures.live": ("live now", "当前生效"),
    "pictures.line": (
        "Line between before and after, in per cent from the left",
        "原图与成图的分界线，按距左侧的百分比",
    ),
    "pictures.compare": ("Compare", "对比"),
    "pictures.mode_slide": ("Slider", "滑块"),
    "pictures.mode_beside": ("Side by side", "并排"),
    "pictures.mode_made": ("Made", "仅成图"),
    "pictures.heat": ("Differences", "差异热图"),
    "pictures.heat_of": ("Where {name} differs", "{name} 的差异处"),
    "pictures.zoom": ("Zoom", "缩放"),
    "pictures.save": ("save the whole picture", "保存原图"),
    "pictures.choices": ("Variants to choose from", "备选图"),
    "pictures.several": ("Pictures of this field", "该字段的图片"),
    "pictures.choice": ("Variant {number}", "备选图 {number}"),
    "pictures.choose_hint": ("Number, then a: take it", "按数字选图，再按 a 采用"),
    "pictures.take": ("Take no. {number}", "采用第 {number} 张"),
    "pictures.take_chosen": ("Take the chosen", "采用所选"),
    "pictures.variants": (
        "{count} {count:variant|variants} to choose from",
        "{count} 张备选图",
    ),
    "pictures.of_own": (
        "What is said here is of no. {number}.",
        "以下问题针对第 {number} 张。",
    ),
    "pictures.from": ("made from {name}", "由 {name} 制作"),
    "pictures.from_picture": ("made from an earlier picture", "由前一步的图片制作"),
    "pictures.by_model": ("made by a model", "由模型生成"),
    "pictures.no_variants": (
        "There is no other variant of this picture; mark it wrong, or rightly empty.",
        "该图片没有其他备选图；可标为“错”，或勾选“应为空”。",
    ),
    "pictures.operation": ("Operation", "图片操作"),
    # Keys.
    "pictures.key_compare": (
        "compare with before: slider, side by side, or what was made alone",
        "与原图对比：滑块、并排、仅成图",
    ),
    "pictures.key_whole": ("actual size, and back", "原始大小 / 还原"),
    "pictures.key_in": ("zoom in", "放大"),
    "pictures.key_out": ("zoom out", "缩小"),
    "pictures.key_fit": ("fit into the window", "适应窗口"),
    "pictures.key_heat": ("show where it differs", "显示差异处"),
    "pictures.key_layout": ("tiles or list", "图片墙 / 列表"),
    "pictures.key_page": ("choose all on this page, or none", "全选 / 取消全选本页"),
    # A pipeline out of choices.
    "pictures.plan": ("New pipeline for pictures…", "新建图片流程…"),
    "pictures.plan_title": ("A pipeline for pictures", "图片流程"),
    "pictures.plan_about": (
        "What is chosen here becomes a pipeline that can be read and changed under Templates.",
        "此处的选择会生成一个流程，可在“模板”页面查看和修改。",
    ),
    "pictures.plan_photo": ("Photos are named in", "照片所在的列"),
    "pictures.plan_preset": ("Marketplace", "电商平台"),
    "pictures.plan_no_preset": ("none: own size and colour", "无：自定尺寸和颜色"),
    "pictures.plan_size": ("Width and height in pixels", "宽和高（像素）"),
    "pictures.plan_colour": ("Background colour", "背景颜色"),
    "pictures.plan_cut": ("Cut the product out", "抠出商品"),
    "pictures.plan_enlarge": (
        "Double the pixels of the photo first (slow)",
        "先将照片放大一倍（较慢）",
    ),
    "pictures.plan_check": (
        "Check that the product is unchanged",
        "检查商品是否保持不变",
    ),
    "pictures.plan_shadow": ("Shadow", "阴影"),
    "pictures.shadow_none": ("none", "无"),
    "pictures.shadow_contact": ("where it stands", "接触阴影"),
    "pictures.shadow_cast": ("cast by a lamp", "投射阴影"),
    "pictures.plan_name": ("Name of the pipeline", "流程名称"),
    "pictures.plan_save": ("Make the pipeline", "生成流程"),
    "pictures.plan_ready": ("The pipeline “{name}” is ready.", "流程“{name}”已就绪。"),
    "pictures.plan_waits": (
        "The pipeline “{name}” is a draft; a second person approves it under Templates.",
        "流程“{name}”已存为草稿；请另一位同事在“模板”页面批准。",
    ),
    "pictures.plan_need_photo": (
        "Say which column names the photos.",
        "请选择照片所在的列。",
    ),
    "pictures.plan_need_name": ("Give the pipeline a name.", "请填写流程名称。"),
    # In lists.
    "pictures.of": ("Picture {number} of {key}", "{key} 的图片 {number}"),
    "pictures.photo": ("{column} of {key}", "{key} 的 {column}"),
    "pictures.column": ("Picture", "图片"),
    # As tiles.
    "pictures.tiles": ("Items as pictures", "条目图片墙"),
    "pictures.layout_tiles": ("Tiles", "图片墙"),
    "pictures.layout_list": ("List", "列表"),
    "pictures.layout": ("Show as", "显示方式"),
    "pictures.shown_field": ("Picture shown", "显示的图片"),
    "pictures.no_picture": ("no picture", "无图片"),
    "pictures.more_pictures": ("+{count}", "+{count}"),
}
