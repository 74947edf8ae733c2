"""What a refusal says, in English and in Chinese, by its code."""

SENTENCES: dict[str, tuple[str, str]] = {
    "body": (
        "the body of the request cannot be read; correct it",
        "无法读取请求的正文；请改正",
    ),
    "body_too_large": (
        "the request has more than {most:,} bytes; send a smaller picture, or less at once",
        "请求超过 {most:,} 字节；请发送更小的图片，或减少一次发送的内容",
    ),
    "busy": (
        "the server is busy, and enough requests wait already; ask again in {seconds} s",
        "服务器正忙，等待的请求已满；请在 {seconds} 秒后重试",
    ),
    "connections": (
        "there are too many connections; close some, and try again in {seconds} s",
        "连接数过多；请关闭一些连接，并在 {seconds} 秒后重试",
    ),
    "encoded_body": (
        "a compressed request is not read; send it without Content-Encoding",
        "不接受压缩的请求；请去掉 Content-Encoding 后发送",
    ),
    "failed": (
        "the server failed at this; its log has the reason under the request id {request}",
        "服务器处理时出错；原因已记入日志，请求编号为 {request}",
    ),
    "filter": (
        "{detail}",
        "筛选条件有误：{detail}",
    ),
    "form_broken": (
        "the form is broken or its end is missing; send it again",
        "表单已损坏或不完整；请重新发送",
    ),
    "form_missing": (
        "the form has no field {field}; send one picture in it",
        "表单中没有字段 {field}；请在其中发送一张图片",
    ),
    "form_parts": (
        "the form has several parts; send one picture in the field {field} and nothing else",
        "表单包含多个部分；请只在字段 {field} 中发送一张图片",
    ),
    "gone": (
        "whoever asked is gone",
        "请求方已断开",
    ),
    "headers": (
        "the headers of the request are too long; send fewer of them",
        "请求头过长；请减少请求头",
    ),
    "image": (
        "the picture cannot be used ({cause}); choose another one",
        "图片无法使用（{cause}）；请选择其他图片",
    ),
    "index_broken": (
        "the index {index} is damaged and cannot be opened, the server's log says where; copy it again, or build "
        "it anew",
        "索引“{index}”已损坏，无法打开，具体位置见服务器日志；请重新复制或重建它",
    ),
    "index_gone": (
        "the index {index} is not there any more; put it back, or choose another one",
        "索引“{index}”已不存在；请将其放回原处，或选择其他索引",
    ),
    "index_stale": (
        "the newest state of the index {index} cannot be opened, so the one before is searched; the server's log "
        "says why",
        "索引“{index}”的最新状态无法打开，目前搜索的是之前的状态；原因见服务器日志",
    ),
    "invalid": (
        "{field}: {wrong}",
        "{field}：{wrong}",
    ),
    "json": (
        "the request is no JSON in UTF-8 that can be read; correct it",
        "请求不是可读取的 UTF-8 JSON；请改正",
    ),
    "k_too_large": (
        "k is {k} on page {page}, but at most {most} hits are ranked; ask for fewer, or narrow with a filter",
        "每页 {k} 条、第 {page} 页超出了范围：最多排出 {most} 条结果；请减少数量，或用筛选条件缩小范围",
    ),
    "label_twice": (
        "the label {label} is there twice; leave one out",
        "标签“{label}”重复；请去掉一个",
    ),
    "media_type": (
        "a picture is sent as a form (multipart/form-data) or with a Content-Type of image/*; correct that",
        "图片须以表单（multipart/form-data）或 Content-Type 为 image/* 的方式发送；请改正",
    ),
    "method": (
        "{method} is not allowed here; use {allowed}",
        "此处不支持 {method} 方法；请使用 {allowed}",
    ),
    "model_missing": (
        "the model of the index {index} is not known, or not there, so texts and new pictures cannot be looked "
        "for; search by pictures of the index, or start the server with --model",
        "索引“{index}”的模型未知或不在原处，无法用文字或新图片查找；"
        "请用索引中的图片搜索，或在启动服务器时用 --model 指定模型",
    ),
    "needs_key": (
        "a key is needed; sign in with it, or send it as Authorization: Bearer KEY",
        "需要密钥；请先用密钥登录，或以 Authorization: Bearer 密钥 的方式发送",
    ),
    "no_download": (
        "this download is not known or has expired; choose the pictures again",
        "该下载不存在或已过期；请重新选择图片",
    ),
    "no_http": (
        "this is no request of HTTP/1.1 that can be read; correct it",
        "这不是可读取的 HTTP/1.1 请求；请改正",
    ),
    "no_index": (
        "there is no index {index} here; see the list of indexes",
        "这里没有名为“{index}”的索引；请查看索引列表",
    ),
    "no_page": (
        "there is nothing at this address; correct it",
        "该地址没有内容；请检查地址",
    ),
    "no_picture": (
        "the index {index} has no picture {id}; it may have been removed, search again",
        "索引“{index}”中没有编号为 {id} 的图片；它可能已被移除，请重新搜索",
    ),
    "no_tower": (
        "the model of the index {index} has no {side} tower, so it cannot encode this",
        "索引“{index}”的模型没有 {side} 编码器，无法处理",
    ),
    "nothing_asked": (
        "nothing is asked for; give a text or a picture to look for {of}",
        "没有给出查询内容；请用文字或图片来查找 {of}",
    ),
    "opening": (
        "the index {index} is still being opened; ask again in {seconds} s",
        "索引“{index}”正在打开；请在 {seconds} 秒后重试",
    ),
    "other": (
        "{detail}",
        "请求无法处理：{detail}",
    ),
    "other_model": (
        "the index {other} was made with another model than {index}, and their vectors do not compare; upload "
        "the picture instead",
        "索引“{other}”与“{index}”所用模型不同，向量无法比较；请改为上传该图片",
    ),
    "other_site": (
        "a page of another site may not use this server; open its own page",
        "其他网站的页面不能使用此服务器；请打开服务器自己的页面",
    ),
    "parts_cancel": (
        "the parts of the query cancel each other; give them other weights, or leave one out",
        "查询的各部分相互抵消；请调整权重，或去掉其中一项",
    ),
    "paths_hidden": (
        "this server does not tell where files lie; download the pictures instead",
        "此服务器不显示文件路径；请改为下载图片",
    ),
    "picture_changed": (
        "the file of picture {id} was changed since it was indexed; update the index {index}",
        "图片 {id} 的文件在建立索引后已更改；请更新索引“{index}”",
    ),
    "picture_empty": (
        "the picture has no bytes; choose another file",
        "图片没有内容；请选择其他文件",
    ),
    "picture_missing": (
        "the file of picture {id} is not where it was; put it back, or update the index {index}",
        "图片 {id} 的文件已不在原处；请将其放回，或更新索引“{index}”",
    ),
    "picture_unreadable": (
        "picture {id} cannot be shown, for it cannot be decoded or is too large; see its file",
        "图片 {id} 无法显示：无法解码或过大；请直接查看其文件",
    ),
    "picture_vector": (
        "the index {index} has only a vector of picture {id}, so there is nothing to show",
        "索引“{index}”只保存了图片 {id} 的向量，因此没有可显示的内容",
    ),
    "slow": (
        "the request came too slowly and was given up; send it again",
        "请求传输过慢，已放弃；请重新发送",
    ),
    "template": (
        "the template has no place for a label; write {mark} where it goes",
        "模板中没有放标签的位置；请用 {mark} 标出",
    ),
    "text_empty": (
        "the text is empty; write what to look for",
        "文字为空；请输入要查找的内容",
    ),
    "text_too_long": (
        "the text has {count} characters; ask with at most {most}",
        "文字有 {count} 个字符；请控制在 {most} 个以内",
    ),
    "threshold": (
        "{detail}",
        "阈值“{given}”不适用于此查询；请给出 -1 到 1 之间的数，或与该查询同类的阈值名称",
    ),
    "upload_unknown": (
        "the uploaded picture is no longer remembered, or was uploaded for another model; upload it again",
        "已上传的图片不再保留，或属于另一个模型；请重新上传",
    ),
    "vector": (
        "{detail}",
        "查询向量无效；请给出 {width} 个有限的数，且不全为零",
    ),
    "wrong_host": (
        "the server does not go by the name {host}; use its address, or start it with --allowed-host",
        "服务器不使用名称“{host}”；请使用其地址，或用 --allowed-host 启动服务器",
    ),
    "wrong_key": (
        "the key is wrong; correct it",
        "密钥不正确；请改正",
    ),
    "wrong_target": (
        "the address has parts that no page here has; correct it",
        "地址包含此处不存在的部分；请检查地址",
    ),
}
"""{code: (English, Chinese)}; what stands in braces are the values of the refusal"""
