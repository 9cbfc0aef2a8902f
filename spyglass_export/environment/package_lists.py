"""Names of packages that rules go by, in conda's part and in pip's; normalised, some as shell patterns."""

from spyglass_export.environment.systems import PACKAGES

PYTORCH_CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"
PYTORCH_WHEELS = frozenset({"torch", "torchaudio", "torchtext", "torchvision"})

# Packages of the field that bring torch along; a short list, for where no index can be asked.
BRINGS_TORCH = frozenset({"cellpose", "deeplabcut", "kilosort", "lightning", "moseq2-detectron-extract", "sleap-nn"})

# The hub cannot do without these, so no pattern of ENV_EXCLUDE takes them out.
NEEDED = frozenset({"ipykernel", "pip"})

GPU_ONLY = (
    *("*-cuda", "*-cuda[0-9]*", "*-cu[0-9][0-9]*", "*-rocm", "cuda*", "cudnn*", "jax-cuda*", "jax-rocm*"),
    *("cub", "cucim*", "cudf*", "cugraph*", "cuml*", "cupti*", "cupy*", "cuquantum*", "cuspatial*"),
    *("cusparselt*", "cutensor*", "cuvs*", "dask-cudf*", "flash-attn", "gds-tools"),
    *("libcublas*", "libcudf*", "libcudnn*", "libcufft*", "libcufile*", "libcuml*", "libcurand*"),
    *("libcusolver*", "libcusparse*", "libmagma*", "libnpp*", "libnvfatbin*", "libnvjitlink*", "libnvjpeg*"),
    *("libnvptxcompiler*", "libraft*", "librmm*", "magma", "magma-cuda*", "nccl", "nsight-*", "nvidia-*"),
    *("nvtx", "pycuda", "pylibcugraph*", "pylibraft*", "pytorch-triton*", "raft-dask*", "rmm", "tensorrt*"),
    *("torchtriton", "triton"),
)
# Metapackages that steer the solver to the GPU build of another package.
SELECTORS = ("*-mutex", "*-mutex-*", "-tflow*select", "ucx-proc")
CPU_TWINS = {
    **{"dgl-cuda*": "dgl", "dgl-cu[0-9]*": "dgl", "faiss-gpu*": "faiss-cpu", "mxnet-cu[0-9]*": "mxnet"},
    **{"onnxruntime-gpu": "onnxruntime", "paddlepaddle-gpu": "paddlepaddle", "py-xgboost-gpu": "py-xgboost"},
    **{"pytorch-gpu": "pytorch", "tensorflow-gpu": "tensorflow", "tensorflow-gpu-base": "tensorflow-base"},
    **{"tensorflow-macos": "tensorflow"},
}
# Packages whose builds for a CPU say so: `cpu_py39h…`, `cpu_generic_…`, `…_3_cpu`; channel pytorch: `py3.9_cpu_0`.
CPU_BUILDS = (
    *("arrow-cpp", "faiss", "jaxlib", "libarrow*", "libfaiss*", "libtensorflow*", "libtorch", "parquet-cpp"),
    *("pyarrow*", "pytorch", "tensorflow", "tensorflow-base", "tensorflow-estimator"),
    *("libxgboost", "onnxruntime", "py-xgboost", "torchaudio", "torchtext", "torchvision", "xgboost"),
)
# Of these, what is named without a build could still come as a GPU build, where the environment has others.
CPU_BUILDS_ASKED_FOR = (
    *("faiss", "jaxlib", "libfaiss*", "libtorch", "pytorch", "tensorflow", "tensorflow-base"),
    *("torchaudio", "torchtext", "torchvision"),
)
# The Python package of a conda package that is called otherwise.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "tables": "pytables", "torch": "pytorch"}

# On macOS and Windows these hold other files at versions of their own; what needs them on Linux brings them. A short
# list, for where no channel can be asked.
RENUMBERED = ("icc-rt", "libcxxabi", "libgfortran", "libwinpthread", "menuinst", "sigtool", "tapi")
OTHER_SYSTEMS_ONLY = (*(name for system, names in PACKAGES.items() if system != "Linux" for name in names), *RENUMBERED)
NO_LINUX_WHEEL = (
    *("jax-metal", "pyobjc*", "pypiwin32", "pywin32", "pywinpty", "tensorflow-intel", "tensorflow-metal"),
)

# Where the lab's own packages are developed (their pages on GitHub).
REPOSITORIES = {
    "ndx-franklab-novela": "https://github.com/LorenFrankLab/ndx-franklab-novela",
    "non-local-detector": "https://github.com/LorenFrankLab/non_local_detector",
    "position-tools": "https://github.com/LorenFrankLab/position_tools",
    "replay-trajectory-classification": "https://github.com/Eden-Kramer-Lab/replay_trajectory_classification",
    "ripple-detection": "https://github.com/Eden-Kramer-Lab/ripple_detection",
    "spectral-connectivity": "https://github.com/Eden-Kramer-Lab/spectral_connectivity",
    "spyglass-neuro": "https://github.com/LorenFrankLab/spyglass",
    "track-linearization": "https://github.com/LorenFrankLab/track_linearization",
    "trodes-to-nwb": "https://github.com/LorenFrankLab/trodes_to_nwb",
}
