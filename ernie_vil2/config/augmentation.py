"""Training pixels of one view, as a run's configuration has them."""

from dataclasses import dataclass

from ..errors import ConfigError
from ..schema import document

SMALLEST_CROP, SMALLEST_BLUR = 0.01, 0.01


@dataclass
class AugmentationConfig:
    """Training pixels of one view: the defaults are the release's; 0 switches a step off."""

    crop_scale: float = document(
        1.0,
        "smallest side of the random crop over the resized short side, in [0.01, 1]; "
        "1 as released, 0.8 is mild for small data sets",
    )
    flip: float = document(0.5, "probability of a mirror image, in [0, 1]")
    jitter: float = document(0.8, "probability of the colour jitter, in [0, 1]")
    brightness: float = document(0.4, "jitter: factor from [max(0, 1 - x), 1 + x]", minimum=0, maximum=10.0)
    contrast: float = document(0.4, "jitter: factor from [max(0, 1 - x), 1 + x]", minimum=0, maximum=10.0)
    saturation: float = document(0.4, "jitter: factor from [max(0, 1 - x), 1 + x]", minimum=0, maximum=10.0)
    hue: float = document(0.1, "jitter: shift from [-x, x] of the hue circle, in [0, 0.5]", minimum=0)
    grey: float = document(0.2, "probability of a grey image, in [0, 1]")
    blur: float = document(0.5, "probability of a Gaussian blur, in [0, 1]")
    blur_kernel: int = document(5, "side of the blur's window in pixels, odd", minimum=1, maximum=255)
    blur_sigma: tuple[float, ...] = document(
        (0.1, 2.0), "smallest and largest standard deviation in pixels", length=2, maximum=1000.0
    )

    def __post_init__(self):
        for name in ("flip", "jitter", "grey", "blur"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augmentation: {name} is {getattr(self, name)} but must be a probability in [0, 1]")
        if not SMALLEST_CROP <= self.crop_scale <= 1:
            rule = f"must be in [{SMALLEST_CROP}, 1]; 1 as released"
            raise ConfigError(f"augmentation: crop_scale is {self.crop_scale} but {rule}")
        if not 0 <= self.hue <= 0.5:
            raise ConfigError(f"augmentation: hue is {self.hue} but must be in [0, 0.5]; 0.5 reaches every hue")
        if self.blur_kernel % 2 == 0:
            raise ConfigError(f"augmentation: blur_kernel is {self.blur_kernel} but must be odd; 5 as released")
        if not SMALLEST_BLUR <= self.blur_sigma[0] <= self.blur_sigma[1]:
            raise ConfigError(
                f"augmentation: blur_sigma is {list(self.blur_sigma)} but must rise from {SMALLEST_BLUR} or more"
            )
