# Crop one image: reads the arguments and hands them on through a pipe.
set -eu

while [ $# -gt 0 ]; do
    case "$1" in
        -j) arguments=$2 ;;
        --metadata-out) metadata_out=$2 ;;
        *) echo "crop.sh: what is $1?" >&2; exit 64 ;;
    esac
    shift 2
done

cat "$arguments" | "$PYTHON" "$(dirname "$0")/_crop.py"
echo '{}' > "$metadata_out"
