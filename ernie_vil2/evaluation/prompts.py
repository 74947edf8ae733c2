"""Prompt templates in Chinese and English: a general ensemble, and one per domain of the classification benchmarks.

The wording is this project's own. `{}` stands for the name of a class. Where the names of classes are sentences (the
distance of a car, the mood of a review), the templates only say where the sentence comes from.
"""

import re
from collections.abc import Iterable

from ..errors import ConfigError, nearest

LANGUAGES = ("zh", "en")
CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def phrases(block: str) -> tuple[str, ...]:
    """The phrases of a block, which bars part."""
    return tuple(map(str.strip, block.split("|")))


ENSEMBLES = {
    "general": {
        "zh": phrases("""
            {} | {}的照片 | 图中是{} | 画面里能看到{} | 这张图拍的是{} | 近处的{} | 远处的{} | 手机随手拍下的{} |
            光线昏暗处的{} | 颜色鲜艳的{} | 黑白影像中的{} | 有些模糊的{} | 只露出一部分的{} | 画面正中的{} |
            杂乱背景前的{} | 纸上画的{} | 电脑制作的{}图像 | {}的实物图
        """),
        "en": phrases("""
            {} | a picture showing {} | this image shows {} | here we see {} | {} seen from nearby | {} far away |
            a snapshot with {} in it | {} in dim light | {} in vivid colours | {} in black and white |
            a slightly blurred view of {} | {} partly outside the frame | {} in the middle of the picture |
            {} against a busy background | {} drawn on paper | a computer-made image of {}
        """),
    },
    "tiny": {
        "zh": phrases("""
            {} | {}的小图 | 一张分辨率很低的图，内容是{} | 缩得很小的{}图片 | 像素模糊的{} | 放大后看不清细节的{} |
            {}的缩略图 | 图中是{}
        """),
        "en": phrases("""
            {} | a thumbnail of {} | {} in a picture of few pixels | a picture of {} made very small |
            coarse pixels that show {} | {} without fine detail | this tiny image shows {}
        """),
    },
    "place": {
        "zh": phrases("""
            {} | 在{}拍摄的照片 | {}的街道 | {}的风景 | {}当地的生活场景 | 去{}旅行时拍的 | 这里是{} | {}的建筑
        """),
        "en": phrases("""
            {} | taken in {} | a street in {} | landscape of {} | daily life in {} | travelling through {} |
            this place is in {} | buildings in {}
        """),
    },
    "texture": {
        "zh": phrases("""
            {} | {}的纹理 | 表面呈{}状 | 带有{}花纹的材质 | {}质感的特写 | 布满{}图案的表面 | {}的样式
        """),
        "en": phrases("""
            {} | a {} texture | a surface that is {} | material with a {} pattern | close view of something {} |
            a {} structure all over | it looks {}
        """),
    },
    "food": {
        "zh": phrases("""
            {} | 一盘{} | 刚做好的{} | 餐桌上的{} | 餐厅里点的{} | 一道叫{}的菜 | 美食：{} | 一口就能吃到的{} |
            盛在碗里的{}
        """),
        "en": phrases("""
            {} | {} on a plate | freshly made {} | {} served at a table | a dish called {} | food: {} |
            {} ordered in a restaurant | a helping of {}
        """),
    },
    "flower": {
        "zh": phrases("{} | 盛开的{} | 一朵{} | 花园里的{} | {}的花瓣 | 这种花叫{} | {}，一种花卉 | 枝头的{}"),
        "en": phrases("""
            {} | {} in bloom | a flower named {} | {} growing in a garden | petals of {} | {}, a kind of flower |
            the blossom of {}
        """),
    },
    "pet": {
        "zh": phrases("""
            {} | 一只{} | 家里养的{} | 宠物{} | 这只宠物的品种是{} | 正看着镜头的{} | 躺着的{} | {}的脸
        """),
        "en": phrases("""
            {} | a pet of the breed {} | {} at home | someone's {} | a {} looking at the camera | a {} lying down |
            the face of a {} | {}, an animal kept as a pet
        """),
    },
    "car": {
        "zh": phrases("""
            {} | 一辆{} | {}汽车 | 停在路边的{} | {}的外观 | 从侧面看的{} | 车展上的{} | 这款车的型号是{} |
            行驶中的{}
        """),
        "en": phrases("""
            {} | a {} parked by the road | the car model {} | a {} seen from the side | a {} at a motor show |
            the body of a {} | a {} driving | this vehicle is a {}
        """),
    },
    "aircraft": {
        "zh": phrases("""
            {} | 一架{} | {}飞机 | 停机坪上的{} | 空中飞行的{} | 正在起飞的{} | 这架飞机的型号是{} | {}，一种机型
        """),
        "en": phrases("""
            {} | an aircraft of type {} | a {} on the apron | a {} in flight | a {} taking off | the aeroplane {} |
            {}, a model of aircraft | a {} at an airport
        """),
    },
    "satellite": {
        "zh": phrases("""
            {} | 从太空拍到的{} | {}的卫星图像 | {}的航拍图 | 俯视的{} | 遥感影像：{} | 地面上的{}，从高空看 |
            地图上的{}区域
        """),
        "en": phrases("""
            {} | {} seen from space | satellite image with {} | {} viewed from above | aerial view of {} |
            remote sensing: {} | an area of {} on the ground | land covered by {}
        """),
    },
    "digit": {
        "zh": phrases("""
            {} | 数字{} | 手写的{} | 笔写出来的数字{} | 图中的数字是{} | 白色笔迹写成的{} | 纸上写着{}
        """),
        "en": phrases("""
            {} | the digit {} | {} written by hand | somebody wrote the number {} | a handwritten {} |
            white strokes that form {} | this numeral is {}
        """),
    },
    "emotion": {
        "zh": phrases("{} | {}的表情 | 一张{}的脸 | 这个人看起来{} | 脸上流露出{} | 感到{}的人 | 人物情绪：{}"),
        "en": phrases("""
            {} | a face that looks {} | somebody feeling {} | a person with a {} expression |
            the mood on this face: {} | this person seems {}
        """),
    },
    "traffic sign": {
        "zh": phrases("""
            {} | {}的交通标志 | 路边的标志牌：{} | 道路标志，含义是{} | 表示{}的路牌 | 车里看到的{}标志 |
            有些模糊的{}标志
        """),
        "en": phrases("""
            {} | a traffic sign: {} | a road sign that means {} | the sign by the road says {} |
            {} on a traffic sign | a blurred road sign, {} | sign for drivers: {}
        """),
    },
    "pathology": {
        "zh": phrases("{} | {}的病理切片 | 显微镜下的{} | 淋巴结组织切片：{} | 染色切片中的{} | 组织学图像，{}"),
        "en": phrases("""
            {} | a tissue section: {} | {} under the microscope | histology of a lymph node, {} |
            a stained slide with {} | pathology image: {}
        """),
    },
    "review": {
        "zh": phrases("{} | 图中文字的态度是{} | 一段{}的影评 | 写着{}评价的图片 | 这段话是{}的 | {}的评论文字"),
        "en": phrases("""
            {} | the words in this picture are {} | a {} film review | text with a {} opinion | this sentence is {} |
            printed words of {} mood
        """),
    },
    "meme": {
        "zh": phrases("{} | 这张配文图片是{} | 网络上流传的{} | 图和文字合起来是{} | 一张{}的图片"),
        "en": phrases("""
            {} | this captioned picture is {} | {} shared on the web | picture and words together are {} |
            an image that is {}
        """),
    },
    "sentence": {
        "zh": phrases("{} | 图中：{} | 这张照片的内容：{} | 从车上看到的：{} | 行车画面，{}"),
        "en": phrases("""
            {} | in this picture: {} | what the photo shows: {} | seen from a car: {} | on the road, {}
        """),
    },
}


def templates(domain: str = "general", language: str = "zh") -> tuple[str, ...]:
    """The templates of a domain as a tuple; ConfigError with the nearest known domain or language."""
    if language not in LANGUAGES:
        raise ConfigError(f"language is {language!r}, but prompts are written in zh and en")
    if domain not in ENSEMBLES:
        close = nearest(domain, ENSEMBLES)
        raise ConfigError(
            f"there are no prompts for {domain!r}; "
            + (f"did you mean {close!r}?" if close else f"take one of {', '.join(ENSEMBLES)}")
        )
    return ENSEMBLES[domain][language]


def language_of(names: Iterable[str]) -> str:
    """zh when any of the class names holds a Chinese character, else en."""
    return "zh" if any(CHINESE.search(name) for name in names) else "en"
