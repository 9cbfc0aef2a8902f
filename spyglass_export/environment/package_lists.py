"""Names of packages and builds that rules go by, normalised, some as shell patterns; and which system they tell of."""

import re
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PYTORCH_CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"
PYTORCH_WHEELS = frozenset({"torch", "torchaudio", "torchtext", "torchvision"})

# Packages of the field that bring torch along; a short list, for where no index can be asked.
BRINGS_TORCH = frozenset({"cellpose", "deeplabcut", "kilosort", "lightning", "moseq2-detectron-extract", "sleap-nn"})

# The hub cannot do without these, so no pattern of ENV_EXCLUDE takes them out.
NEEDED = frozenset({"ipykernel", "pip"})

GPU_ONLY = _names("""
    *-cuda *-cuda[0-9]* *-cu[0-9][0-9]* *-rocm cuda* cudnn* jax-cuda* jax-rocm* cub cucim* cudf* cugraph* cuml* cupti*
    cupy* cuquantum* cuspatial* cusparselt* cutensor* cuvs* dask-cudf* flash-attn gds-tools libcublas* libcudf*
    libcudnn* libcufft* libcufile* libcuml* libcurand* libcusolver* libcusparse* libmagma* libnpp* libnvfatbin*
    libnvjitlink* libnvjpeg* libnvptxcompiler* libraft* librmm* magma nccl nsight-* nvidia-* nvtx pycuda pylibcugraph*
    pylibraft* pytorch-triton* raft-dask* rmm tensorrt* torchtriton triton
""")
# Metapackages that steer the solver to the GPU build of another package.
SELECTORS = ("*-mutex", "*-mutex-*", "-tflow*select", "ucx-proc")
CPU_TWINS = {
    **{"dgl-cuda*": "dgl", "dgl-cu[0-9]*": "dgl", "faiss-gpu*": "faiss-cpu", "mxnet-cu[0-9]*": "mxnet"},
    **{"onnxruntime-gpu": "onnxruntime", "paddlepaddle-gpu": "paddlepaddle", "py-xgboost-gpu": "py-xgboost"},
    **{"pytorch-gpu": "pytorch", "tensorflow-gpu": "tensorflow", "tensorflow-gpu-base": "tensorflow-base"},
    **{"tensorflow-macos": "tensorflow"},
}
# What is named without a build, could still come as a GPU build where the environment has others.
CPU_BUILDS_ASKED_FOR = _names("""
    faiss jaxlib libfaiss* libtorch pytorch tensorflow tensorflow-base torchaudio torchtext torchvision
""")
# Packages whose builds for a CPU say so: `cpu_py39h…`, `cpu_generic_…`, `…_3_cpu`; channel pytorch: `py3.9_cpu_0`.
CPU_BUILDS = CPU_BUILDS_ASKED_FOR + _names("""
    arrow-cpp libarrow* libtensorflow* libxgboost onnxruntime parquet-cpp py-xgboost pyarrow* tensorflow-estimator
    xgboost
""")
# The Python package of a conda package that is called otherwise.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "tables": "pytables", "torch": "pytorch"}

# Names of packages, normalised, that conda has on one system only.
PACKAGES = {
    "Linux": _names("-libgcc-mutex ld-impl-linux-64 libgcc-ng libstdcxx libstdcxx-ng *-linux-64"),
    "macOS": _names("*-osx-64 *-osx-arm64 appnope cctools ld64 libcxx pyobjc-* python-app"),
    "Windows": _names("""
        comtypes console-shortcut* libflang m2w64-* msys2-* powershell-shortcut* pthreads-win32 pyreadline* pywin32*
        pywinpty twisted-iocpsupport ucrt vc vc14-runtime vs20*-runtime win-* win32-* wincertstore winpty
    """),
    "Linux on ARM": ("*-linux-aarch64",),
}
# What conda writes into the build string of many packages: a hash of the compilers and the system. Those that
# are met most in exports of Anaconda's channel and of conda-forge.
BUILD_HASHES = {
    "Linux": _names("""
        h06a4308 h14c3975 h166bdaf h2531618 h27cfd23 h295c915 h36c2ea0 h3811e60 h4bc722e h516909a h5764c6d h59595ed
        h5eee18b h6a678d5 h7b6447c h7f8727e h7f98852 hb9d3cd8 hb9d737c hd590300 hf3d152e hff7bd54
    """),
    "macOS": _names("""
        h0d85af4 h10d778d h1a28f6b h1de35cc h2804cbe h2f01273 h313beb8 h3422bc3 h4653dfc h5161555 h6c40b1e h6e9494a
        h80987f9 h93a5062 h99b78c6 h9ed2024 haf1e3a3 hb1e8313 hb547adb hb5e19a0 hb7217d7 hb7f2c08 hbe9552e hc377ac9
        hca03da5 hca72f7f hcec6c5f he9d5cce hecd8cb5 hf0a4a13 hfdf4475
    """),
    "Windows": _names("""
        h21ff451 h2466b09 h2bbff1b h56e8100 h57928b3 h5da7b33 h6244533 h63175ca h827c3e9 h8cc25b3 h8ffe710 haa95532
        hcbf5309 hcfcfb64 hd77b12b he774522 hfa6e2cd
    """),
}
PREFIXES = {
    "Windows": re.compile(r"[A-Za-z]:[\\/]"),
    "macOS": re.compile(r"/Users/|/opt/homebrew/|/usr/local/(Caskroom|anaconda|miniconda)|/private/"),
    "Linux": re.compile(r"/"),
}
# A folder tells the system more surely than a package.
PREFIX_VOTES = 3
# A short list, for where no channel can be asked. On macOS and Windows the last of them hold other files at versions of
# their own; what needs them on Linux brings them.
OTHER_SYSTEMS_ONLY = (
    *(name for system, names in PACKAGES.items() if system != "Linux" for name in names),
    *_names("icc-rt libcxxabi libgfortran libwinpthread menuinst sigtool tapi"),
)
NO_LINUX_WHEEL = _names("jax-metal pyobjc* pypiwin32 pywin32 pywinpty tensorflow-intel tensorflow-metal")

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


def exported_on(packages: Iterable[tuple[str, str]], prefix: str, told: Iterable[str] = ()) -> str:
    """The system that an environment was exported on, ``""`` where nothing speaks against Linux on x86.

    ``packages`` are normalised names with build strings; ``told`` are systems that channels have builds for.
    """
    votes = Counter(told)
    for name, build in packages:
        hashes = re.findall(r"h[0-9a-f]{7}(?![0-9a-f])", build)
        for system, names in PACKAGES.items():
            if any(fnmatchcase(name, pattern) for pattern in names) or set(hashes) & set(BUILD_HASHES.get(system, ())):
                votes[system] += 1
    if system := next((system for system, pattern in PREFIXES.items() if pattern.match(prefix)), ""):
        votes[system] += PREFIX_VOTES
    found = max(votes, key=lambda system: (votes[system], system == "Linux"), default="Linux")
    return "" if found == "Linux" else found
