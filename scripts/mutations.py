"""Faults of the code, each of which at least one test must notice: the patches of mutate.py."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """In ``file`` the text ``old``, which must be there once, becomes ``new``; ``tests`` are run first."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS: dict[str, Mutation] = {
    # Coordinates
    "jacobian-bond": Mutation(
        "the Jacobian lacks the square of the first bond",
        "molgen/coordinates/internal.py",
        "log_volume = 2.0 * bonds.log().sum(1) + log_sine",
        "log_volume = 2.0 * bonds[:, 1:].log().sum(1) + log_sine",
        ("tests/contracts/test_coordinates.py::test_log_jacobian_is_that_of_the_full_map",),
    ),
    "jacobian-sine": Mutation(
        "the Jacobian lacks the sine of the first angle",
        "molgen/coordinates/internal.py",
        "log_sine = angles[:, :1].sin().log().sum(1) + angles",
        "log_sine = angles",
        ("tests/contracts/test_coordinates.py::test_log_jacobian_is_that_of_the_full_map",),
    ),
    "fold-factor": Mutation(
        "log q lacks the number of equivalent labellings",
        "molgen/coordinates/folding.py",
        "self.log_order = sum(math.log(order) for order in self.orders)",
        "self.log_order = 0.0",
        ("tests/coordinates/test_folding.py::test_the_number_of_labellings_is_the_product_of_the_orders",),
    ),
    "whitening-volume": Mutation(
        "the volume of the whitening lacks its scales",
        "molgen/coordinates/whitening.py",
        "log_linear = self.scale.log().sum() + self.cholesky.diagonal().log().sum()",
        "log_linear = self.cholesky.diagonal().log().sum()",
        ("tests/coordinates/test_whitening.py::test_log_volume_is_that_of_autograd",),
    ),
    "constraint-determinant": Mutation(
        "frames of constrained dynamics are weighed by |Z|^(+1/2)",
        "molgen/trajectories/constrained.py",
        "np.asarray(-0.5 * np.concatenate(parts)",
        "np.asarray(0.5 * np.concatenate(parts)",
        ("tests/trajectories/test_constrained.py",),
    ),
    # Models
    "spline-derivative": Mutation(
        "the derivative of a rational-quadratic spline has one denominator too few",
        "molgen/models/rational_quadratic.py",
        "- 2.0 * torch.log(denominator)",
        "- torch.log(denominator)",
        ("tests/models/test_rational_quadratic.py::test_log_derivative_is_that_of_autograd",),
    ),
    "bin-gradient": Mutation(
        "the gradient by a bin's size forgets that the other bins shrink",
        "molgen/models/rational_quadratic.py",
        "by_bin.sub_(total)",
        "by_bin",
        ("tests/models/test_rational_quadratic.py",),
    ),
    "coupling-sign": Mutation(
        "an affine coupling's log-derivative has the wrong sign",
        "molgen/models/coupling.py",
        "log_derivative = -log_scale",
        "log_derivative = log_scale.clone()",
        ("tests/models/test_coupling.py::test_log_derivative_is_that_of_autograd",),
    ),
    "flow-volume": Mutation(
        "the volume of the whitening enters log q with the wrong sign",
        "molgen/models/spline_flow.py",
        "log_volume - self.whitening.log_volume, inside",
        "log_volume + self.whitening.log_volume, inside",
        ("tests/models/test_spline_flow.py",),
    ),
    "continuous-scale": Mutation(
        "a continuous flow's log q lacks the volume of its unit of length",
        "molgen/models/continuous.py",
        "return self.chart.dimension * self.scale.log() - self.chart.log_order",
        "return torch.zeros(()) * self.scale - self.chart.log_order",
        ("tests/models/test_continuous.py::test_a_fresh_model_is_a_gaussian_with_its_exact_density",),
    ),
    "latent-uniform": Mutation(
        "the uniform distribution on a circle is not normalised",
        "molgen/models/autoregressive.py",
        "return -self.angles * math.log(2.0 * math.pi)",
        "return -self.angles * math.log(math.pi)",
        ("tests/models/test_autoregressive.py::test_the_density_integrates_to_one",),
    ),
    # Energies
    "molecular-kt": Mutation(
        "energies in kT of another temperature",
        "molgen/energies/molecular.py",
        "beta = 1.0 / thermal_energy(self.temperature_k)",
        "beta = 1.0 / thermal_energy(298.15)",
        ("tests/energies/test_molecular.py", "tests/contracts/test_energies.py"),
    ),
    "analytic-kt": Mutation(
        "an analytic energy grows with temperature",
        "molgen/energies/analytic.py",
        "self._beta = system.temperature_k / self.temperature_k",
        "self._beta = self.temperature_k / system.temperature_k",
        ("tests/energies/test_analytic.py", "tests/contracts/test_energies.py"),
    ),
    "force-sign": Mutation(
        "the gradient is the force",
        "molgen/energies/molecular.py",
        "gradient = -beta * np.concatenate",
        "gradient = beta * np.concatenate",
        ("tests/energies/test_molecular.py", "tests/contracts/test_energies.py"),
    ),
    # Training
    "average-unnormalised": Mutation(
        "the moving average does not forget the parameters it started from",
        "molgen/training/optimisation.py",
        "decay = min(self._average, self.steps / (self.steps + 20.0))",
        "decay = self._average",
        ("tests/training/test_optimisation.py::test_the_average_is_the_stated_one",),
    ),
    "average-reversed": Mutation(
        "the moving average keeps what it should forget",
        "molgen/training/optimisation.py",
        "self._parameters, 1.0 - decay)",
        "self._parameters, decay)",
        ("tests/training/test_optimisation.py::test_the_average_is_the_stated_one",),
    ),
    "reverse-ratio": Mutation(
        "the reverse divergence forgets that the flow has moved since it drew its rows",
        "molgen/training/objectives.py",
        "ratio = rows.log_q.detach().double() - batch.log_q",
        "ratio = 0.0 * batch.log_q",
        ("tests/training/test_objectives.py",),
    ),
    "log-variance-mean": Mutation(
        "the log-variance divergence keeps the mean of its residuals",
        "molgen/training/objectives.py",
        "(residual - residual.mean())",
        "residual",
        ("tests/training/test_objectives.py",),
    ),
    "guard-reversed": Mutation(
        "the one-sided guard looks the other way",
        "molgen/weights.py",
        "missing = backward - forward",
        "missing = forward - backward",
        ("tests/test_weights.py",),
    ),
    "guard-share": Mutation(
        "the guard asks whether the weight is too small, not the model's share",
        "molgen/weights.py",
        "if share < MIN_SHARE_RATIO * weighted:",
        "if weighted < MIN_SHARE_RATIO * share:",
        ("tests/test_weights.py",),
    ),
    "path-gradient": Mutation(
        "the path gradient lacks the latent distribution's slope",
        "molgen/training/objectives.py",
        "path_r = (z_r.detach() - slope_r)",
        "path_r = (-slope_r)",
        ("tests/training/test_objectives.py::test_it_vanishes_on_every_sample_when_model_and_target_agree",),
    ),
    # Reweighting
    "weight-sign": Mutation(
        "weights are multiplied by q",
        "molgen/reweighting/weights.py",
        "-energy[valid] - density[valid]",
        "-energy[valid] + density[valid]",
        ("tests/physics/test_known_weights.py",),
    ),
    "kish-rejected": Mutation(
        "the effective sample size leaves rejected draws out of the number of draws",
        "molgen/weights.py",
        "return effective_count(log_weight) / len(log_weight)",
        "return effective_count(log_weight) / max(int(np.sum(np.isfinite(log_weight))), 1)",
        ("tests/test_weights.py",),
    ),
    "evidence-rejected": Mutation(
        "ln Z is the mean over the draws with weight alone",
        "molgen/weights.py",
        "return log_sum_exp(masked(log_weight)) - math.log(len(log_weight))",
        "return log_sum_exp(masked(log_weight)) - math.log(max(int(np.sum(np.isfinite(log_weight))), 1))",
        ("tests/test_weights.py",),
    ),
    "delta-method": Mutation(
        "the variance of a mean is divided by the number of rows once more",
        "molgen/analysis/intervals.py",
        "return math.sqrt(squares * count / (count - 1)) if count > 1",
        "return math.sqrt(squares / (count - 1)) if count > 1",
        ("tests/analysis/test_intervals.py",),
    ),
    "delta-f-sign": Mutation(
        "a free-energy difference has the wrong sign",
        "molgen/analysis/free_energy.py",
        "return plain_interval(math.log(p_first / p_second), error, rows)",
        "return plain_interval(math.log(p_second / p_first), error, rows)",
        ("tests/analysis/test_free_energy.py",),
    ),
    "pareto-sign": Mutation(
        "the Pareto index has the wrong sign",
        "molgen/reweighting/pareto.py",
        "k = float(np.mean(np.log1p(-b_mean * y)))",
        "k = -float(np.mean(np.log1p(-b_mean * y)))",
        ("tests/reweighting/test_pareto.py",),
    ),
    "verdict-nan": Mutation(
        "a figure that is no number passes a threshold",
        "molgen/reweighting/verdict.py",
        "return not math.isfinite(value) or value > limit",
        "return value > limit",
        ("tests/reweighting/test_verdict.py",),
    ),
    "mbar-sign": Mutation(
        "MBAR takes the free energies off where they belong on",
        "molgen/reweighting/multistate.py",
        "mixture_and_responsibilities(log_density + values, counts)",
        "mixture_and_responsibilities(log_density - values, counts)",
        ("tests/reweighting/test_multistate.py",),
    ),
    "mixture-counts": Mutation(
        "a mixture takes all ensembles for equally large",
        "molgen/reweighting/mixture.py",
        "terms = log_density + np.log(counts / np.sum(counts))",
        "terms = log_density - np.log(len(counts))",
        ("tests/reweighting/test_mixture.py",),
    ),
    "jackknife": Mutation(
        "the jackknife over populations is that of independent values",
        "molgen/reweighting/populations.py",
        "return math.sqrt((count - 1) / count * float",
        "return math.sqrt(1.0 / (count * (count - 1)) * float",
        ("tests/reweighting/test_populations.py",),
    ),
    "inefficiency": Mutation(
        "the statistical inefficiency counts every correlation once",
        "molgen/analysis/correlated.py",
        "2.0 * np.sum(pairs[:last]) - 1.0",
        "np.sum(pairs[:last])",
        ("tests/analysis/test_correlated.py",),
    ),
    "restraint-sign": Mutation(
        "the dual of maximum entropy has a wrong slope",
        "molgen/reweighting/maximum_entropy.py",
        "theta * mu - weights @ rows",
        "theta * mu + weights @ rows",
        ("tests/reweighting/test_maximum_entropy.py",),
    ),
    # Bias
    "forgotten-bias": Mutation(
        "reweighting annealed particles forgets their bias",
        "molgen/workflows/reweight_annealed.py",
        "moved = drawn + bias + (stored - reduced)",
        "moved = drawn + (stored - reduced)",
        ("tests/workflows/test_annealing.py::test_known_answers",),
    ),
    "umbrella-bias": Mutation(
        "frames of umbrella runs count as unbiased ones",
        "molgen/workflows/reweight_densities.py",
        "potential = potential + bias.reduced(",
        "potential = potential + 0.0 * bias.reduced(",
        ("tests/workflows/test_reweight_together.py::test_umbrella_windows_without_a_model_find_the_barrier",),
    ),
    "degrees": Mutation(
        "degrees are taken for radians in a bias",
        "molgen/bias/quantities.py",
        '"deg": math.pi / 180.0',
        '"deg": 1.0',
        ("tests/bias/test_parsing.py",),
    ),
    "spring-half": Mutation(
        "dynamics follows a spring twice as stiff as the weights know",
        "molgen/bias/harmonic.py",
        'f"{0.5 * self.stiffness!r}*d^2',
        'f"{self.stiffness!r}*d^2',
        ("tests/contracts/test_biases.py", "tests/dynamics/test_umbrella.py"),
    ),
    "defensive-mixture": Mutation(
        "the shares of a defensive mixture are exchanged in its density",
        "molgen/sampling/latent_proposal.py",
        "np.logaddexp(math.log(self.share), math.log1p(-self.share) + ratio)",
        "np.logaddexp(math.log1p(-self.share), math.log(self.share) + ratio)",
        ("tests/sampling/test_latent_adaptation.py",),
    ),
    # Sampling
    "metropolis-kinetic": Mutation(
        "a Hamiltonian move forgets the kinetic energy",
        "molgen/sampling/moves.py",
        "gain = gain + 0.5 * (momentum.square().sum(1) - final.square().sum(1))",
        "gain = gain + 0.0 * momentum.sum(1)",
        ("tests/sampling/test_moves.py::test_detailed_balance",),
    ),
    "resampled-weights": Mutation(
        "resampled particles keep their weights",
        "molgen/sampling/annealing.py",
        "return points.take(torch.as_tensor(rows)), np.full(n, -math.log(n), dtype=np.float64), rows",
        "return points.take(torch.as_tensor(rows)), log_share[rows], rows",
        ("tests/sampling/test_annealing.py",),
    ),
    # Dynamics and shots
    "half-kick": Mutation(
        "a shot starts without taking off half a kick",
        "molgen/dynamics/molecular_passage.py",
        "velocities - self._half_kick(context)",
        "velocities",
        ("tests/dynamics/test_passage.py::test_without_friction_a_passage_retraces_itself",),
    ),
    "overdamped-noise": Mutation(
        "overdamped dynamics has half the noise",
        "molgen/dynamics/analytic.py",
        "np.sqrt(2.0 * thermal * dt / friction) * noise, v",
        "np.sqrt(thermal * dt / friction) * noise, v",
        ("tests/dynamics/test_analytic.py::test_moments_are_boltzmanns",),
    ),
    "path-time": Mutation(
        "a transition path is one interval too long",
        "molgen/shooting/rate.py",
        "time = (steps - check_every) * timestep",
        "time = steps * timestep",
        ("tests/shooting/test_rate.py",),
    ),
    "both-directions": Mutation(
        "a rate counts passages of both directions",
        "molgen/shooting/rate.py",
        "nu = 0.5 * outside",
        "nu = outside",
        ("tests/shooting/test_rate.py",),
    ),
    # Committor
    "binomial": Mutation(
        "the likelihood of shots exchanges the two states",
        "molgen/committor/likelihood.py",
        "functional.softplus(logit) - reached * logit",
        "functional.softplus(-logit) + reached * logit",
        ("tests/committor/test_likelihood.py", "tests/committor/test_fitting.py"),
    ),
    "uncertified": Mutation(
        "a mixture keeps draws that the inverse of their flow does not find",
        "molgen/sampling/guided_flow.py",
        "drawn.log_q[rows[~same]] = torch.inf",
        "pass",
        ("tests/sampling/test_guided_flow.py",),
    ),
    "mass": Mutation(
        "the audit of biased draws sees too much mass and not too little",
        "molgen/reweighting/latents.py",
        " or high + MASS_ERRORS * error < 1.0:",
        ":",
        ("tests/reweighting/test_latents.py",),
    ),
    "umbrella-slope": Mutation(
        "an umbrella frame teaches the slope of the target alone",
        "molgen/training/labelled.py",
        "gradient = gradient + biases.gradient(frames, start)",
        "pass",
        ("tests/training/test_felt_biases.py",),
    ),
    "umbrella-judge": Mutation(
        "frames under a bias judge the states of a spline flow",
        "molgen/training/spline.py",
        "judging = task.frames.unbiased",
        "judging = np.ones(len(task.frames), dtype=bool)",
        ("tests/training/test_felt_biases.py",),
    ),
    "umbrella-judge-check": Mutation(
        "frames under a bias judge the states of a continuous flow",
        "molgen/training/fresh_check.py",
        "judging &= task.frames.unbiased",
        "pass",
        ("tests/training/test_fresh_check.py",),
    ),
    "calibration-shrunk": Mutation(
        "the calibration of a committor takes its own error for a finding",
        "molgen/committor/fitting.py",
        "return 1.0 + (slope - 1.0) * (1.0 - (error / away) ** 2)",
        "return slope",
        ("tests/committor/test_fitting.py",),
    ),
    "calibration-lineages": Mutation(
        "the error of a committor's calibration takes shots of one lineage for independent",
        "molgen/committor/likelihood.py",
        "names, number = np.unique(group[used], return_inverse=True)",
        "names, number = np.unique(np.arange(len(z)), return_inverse=True)",
        ("tests/committor/test_likelihood.py",),
    ),
    "undecided-shots": Mutation(
        "a committor is fitted however many shots are undecided",
        "molgen/workflows/shot_data.py",
        "[0] <= MAX_UNDECIDED",
        "[0] <= 1.0",
        ("tests/workflows/test_committor.py::test_undecided_shots_are_no_ground_for_a_committor",),
    ),
    "path-acceptance": Mutation(
        "a path is accepted by its length, whatever its points were chosen by",
        "molgen/shooting/paths.py",
        "if chance[chain] * new.weights.sum() < old.weights.sum():",
        "if chance[chain] * len(new) < len(old):",
        ("tests/shooting/test_paths.py::test_paths_are_the_same_whatever_their_points_are_chosen_by",),
    ),
}
"""By a short name; grouped by the part of the code."""
