"""Bugs in variational autoencoders: functions with jaxgrad's losses, and Flax nnx."""

from tests.ports.case import Bug, Rewrite

BUGS = (
    Bug(
        *("variance for the standard deviation", "vae", "std"),
        "std = jnp.exp(logvar)",
        cause=r"exp|0\.5|half|variance|square",
        source="rachtsingh/ibp_vae#3",
    ),
    Bug(
        *("gradient cut at the sample", "vae", "cut"),
        "return mu + noise * lax.stop_gradient(std)",
        cause=r"stop_gradient|detach",
        source="ethanluoyc/pytorch-vae#5",
        kind="gradient",
    ),
    Bug(
        *("mean and variance swapped", "vae", "halves"),
        'logvar, mu = jnp.split(dense(params["fc2"], h), 2, axis=-1)',
        cause=r"swap|order|halves",
        source="OpenTalker/SadTalker#969",
    ),
    Bug(
        *("cross-entropy of probabilities", "vae", "bce"),
        "p = lax.logistic(logits)\n"
        'bce = losses.binary_cross_entropy_with_logits(p, x, reduction="sum")',
        cause=r"logit|sigmoid|probab",
        source="ChengBinJin/V-GAN-tensorflow#16",
    ),
    Bug(
        *("sign of the divergence", "vae", "kl"),
        "kld = 0.5 * jnp.sum(1 + logvar - mu**2 - jnp.exp(logvar))",
        cause=r"sign|negat|-1",
        source="FluxML/model-zoo#147",
    ),
    Bug(
        *("mean for the sum of the divergence", "vae", "kl"),
        "kld = -0.5 * jnp.mean(1 + logvar - mu**2 - jnp.exp(logvar))",
        cause=r"mean|sum|factor|reduc",
        source="mkusner/grammarVAE#2",
    ),
    Bug(
        *("square for the exponential", "vae", "kl"),
        "kld = -0.5 * jnp.sum(1 + logvar - mu**2 - logvar**2)",
        cause=r"exp|square|variance",
        source="deepchem/deepchem#4888",
    ),
    Bug(
        *("reconstruction averaged over pixels", "vae", "elbo"),
        "return bce / x.size + kld / len(x)",
        cause=r"mean|sum|factor|reduc",
        source="zdebruine/MMVAE#19",
    ),
    Bug(
        *("exponential for softplus", "gaussian_vae", "softplus"),
        "std = jnp.exp(self.scale(h)) + 1e-3",
        cause=r"exp|softplus",
        source="masato-ka/airc-rl-agent#43",
    ),
    Bug(
        *("clipped variance at its bound", "gaussian_vae", "clamp"),
        "return mu, std, location, jnp.clip(logvar, -1.0, 1.0)",
        cause=r"clip|clamp|kink|tie|bound|0\.5|derivatives? at",
        source="pytorch/pytorch#184574",
        kind="gradient",
    ),
    Bug(
        *("halves interleaved", "gaussian_vae", "chunk"),
        "location, logvar = out[..., ::2], out[..., 1::2]",
        cause=r"order|chunk|split|interleav|slice",
        source="NeuraLegion/shainet#199",
    ),
    Bug(
        *("deviation not squared", "gaussian_vae", "kl"),
        "return 0.5 * (std + mu**2 - 1) - jnp.log(std)",
        cause=r"square|std|variance|power",
        source="pytorch/examples#225",
    ),
    Bug(
        *("divergence averaged over latents", "gaussian_vae", "kl_mean"),
        "kl = kl.mean()",
        cause=r"mean|sum|factor|reduc",
        source="podgorskiy/VAE#1",
    ),
    Bug(
        *("deviation for the variance", "gaussian_vae", "variance"),
        "squared = (x - location) ** 2 / jnp.exp(0.5 * logvar)",
        cause=r"exp|std|variance|0\.5|square",
        source="rishikksh20/vae_tacotron2#3",
    ),
)
REWRITES = (
    Rewrite(
        *("the divergence summed in parts", "vae", "kl"),
        "parts = 1 - jnp.exp(logvar), -(mu**2), logvar\n"
        "kld = -0.5 * sum(part.sum() for part in parts)",
    ),
    Rewrite(
        *("precision for division by the variance", "gaussian_vae", "variance"),
        "squared = jnp.exp(-logvar) * jnp.square(location - x)",
    ),
)
