# Compiles every file that `names` lists, in its order; gets its job as a tar, and answers with a tar of <number>.mpy and
# <number>.error, what mpy-cross said.
tar -xf - || exit 121
mkdir out
number=0
while IFS= read -r name; do
  number=$((number + 1))
  # 1 is the compiler's no. What else ends it, a limit for one, ends everything.
  /toolchain/micropython/mpy-cross -X heapsize=64M "-march=$(cat architecture)" -s "$name" -o "out/$number.mpy" "source/$name" 2>"out/$number.error" || {
    status=$?
    [ "$status" = 1 ] || exit "$status"
  }
done <names
exec tar -C out -cf - .
