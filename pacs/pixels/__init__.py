"""From encoded frames to pictures: numpy in, numpy or bytes out; no index, no store, no HTTP.

``describe_pixels`` -> ``read_encoded_frame`` -> ``decode_frame`` -> ``render_frame`` -> ``encode_jpeg``.
Frames are counted from 0 in here, as ``frame_index``, and from 1 everywhere else.
"""
