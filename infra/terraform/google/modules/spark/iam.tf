# All that batches need is bound where it lies: the lake's and temp's buckets in `lake`, the image in
# `registry`, and who starts them in `identity`.
