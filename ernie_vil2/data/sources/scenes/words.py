"""Words for what a drawn scene holds, in Chinese and English: the common one first, then others for the same."""

SHAPES = {
    "circle": (("圆形", "圆", "圆盘"), ("circle", "disc", "round shape")),
    "square": (("正方形", "方块", "方形"), ("square", "box", "block")),
    "triangle": (("三角形", "三角", "三角块"), ("triangle", "three sided shape", "triangle")),
    "star": (("五角星", "星星", "星形"), ("star", "five pointed star", "star shape")),
    "cross": (("十字", "十字形", "加号"), ("cross", "plus sign", "plus")),
    "heart": (("心形", "爱心", "桃心"), ("heart", "heart shape", "heart")),
    "ring": (("圆环", "环形", "圈"), ("ring", "hoop", "loop")),
    "crescent": (("月牙", "弯月", "月牙形"), ("crescent", "crescent moon", "moon shape")),
}
COLOURS = {
    "red": (("红色", "红", "赤色"), ("red", "scarlet", "red")),
    "orange": (("橙色", "橙", "橘色"), ("orange", "tangerine", "orange")),
    "yellow": (("黄色", "黄", "金黄色"), ("yellow", "golden", "yellow")),
    "green": (("绿色", "绿", "翠绿色"), ("green", "emerald", "green")),
    "blue": (("蓝色", "蓝", "天蓝色"), ("blue", "azure", "blue")),
    "purple": (("紫色", "紫", "紫罗兰色"), ("purple", "violet", "purple")),
    "white": (("白色", "白", "雪白色"), ("white", "snow white", "white")),
    "black": (("黑色", "黑", "漆黑色"), ("black", "jet black", "black")),
}
SIZES = {
    "big": (("大", "很大", "大号"), ("big", "large", "huge")),
    "small": (("小", "很小", "小号"), ("small", "little", "tiny")),
}
MATERIALS = {
    "plain": None,
    "metal": (("金属", "发亮", "闪光"), ("metal", "shiny", "metallic")),
    "striped": (("条纹", "带条纹", "斑马纹"), ("striped", "stripy", "banded")),
}
BACKGROUNDS = {
    "grass": (("草地", "草坪"), ("grass", "the lawn")),
    "sand": (("沙滩", "沙地"), ("sand", "the beach")),
    "water": (("水面", "湖面"), ("water", "the lake")),
    "wood": (("木板", "木地板"), ("wood", "a wooden floor")),
    "snow": (("雪地", "积雪"), ("snow", "the snow field")),
}
PLACES = {
    (0, 0): ("左上角", "the top left"),
    (0, 1): ("上方", "the top"),
    (0, 2): ("右上角", "the top right"),
    (1, 0): ("左边", "the left"),
    (1, 1): ("中间", "the middle"),
    (1, 2): ("右边", "the right"),
    (2, 0): ("左下角", "the bottom left"),
    (2, 1): ("下方", "the bottom"),
    (2, 2): ("右下角", "the bottom right"),
}
NUMBERS = {1: ("一个", "a"), 2: ("两个", "two"), 3: ("三个", "three")}
RELATIONS = {
    "left": ("左边", "left of"),
    "right": ("右边", "right of"),
    "above": ("上面", "above"),
    "below": ("下面", "below"),
}
LANGUAGES = ("zh", "en")
CHATTER = (
    ("图片 {}", "大图", "心爱的图片", "大地的景色", "水天一色", "img {}", "dsc {}", "photo {}"),
    ("photo {}", "img {}", "dsc {}", "click for more", "sold out", "picture of the day", "free download", "my photos"),
)
