"""Pure operations on pictures: from pixels to pixels, or to figures about them.

One file of `operations/` is one operation, found by listing that folder. This room opens no files
but model weights it is handed, calls no service, and knows no product, step or run. Everything in
it works on `Picture`: eight bits a channel, RGB or RGBA with straight alpha.

It is the only room that loads numpy, OpenCV, Pillow, ONNX Runtime and ncnn, all from the extra
`images`; nothing outside imports it before a picture is at hand.
"""
