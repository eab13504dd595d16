/* The library's numbers in JavaScript: nontarget/partition.py, losses.py, segments.py and the candidates of detectors/spot.py,
   function by function and in the same order of operations. tests/test_explorables.py compares the two, in double precision. */
(function (root) {
  "use strict";

  const SUBSPACES = ["target", "positive", "negative", "ambiguous"];

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  /** Index of the largest value, the first one on a tie. */
  function argmax(values) {
    let best = 0;
    for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
    return best;
  }

  /** Probabilities of logits; -Infinity has probability 0. */
  function softmax(logits) {
    const top = logits[argmax(logits)];
    const weights = logits.map((z) => Math.exp(z - top));
    const total = sum(weights);
    return weights.map((w) => w / total);
  }

  /**
   * Both rules for every class, before precedence (Eqs. 5, 8, 10). cumulative[c]: sum of the probabilities up to class c in ascending
   * order; the target ranks last, also among equals.
   */
  function claims(probs, positiveRatio) {
    const target = argmax(probs);
    const top = probs[target];
    const ascending = probs.map((_, c) => c).sort((a, b) => (a === target) - (b === target) || probs[a] - probs[b]); // stable
    const cumulative = new Array(probs.length);
    let total = 0;
    for (const c of ascending) cumulative[c] = total += probs[c];
    return {
      target,
      top,
      cumulative,
      negative: probs.map((_, c) => c !== target && cumulative[c] <= top),
      positive: probs.map((p, c) => c !== target && p >= positiveRatio * top),
    };
  }

  /** Subspace of every class, a name of SUBSPACES (Eq. 4). precedence: which of Eqs. 8 and 10 keeps a class that both claim. */
  function partition(probs, positiveRatio = 0.85, precedence = "negative") {
    const { target, negative, positive } = claims(probs, positiveRatio);
    const [first, second] = precedence === "negative" ? ["negative", "positive"] : ["positive", "negative"];
    const claimed = { negative, positive };
    return probs.map((_, c) => {
      if (c === target) return "target";
      if (claimed[first][c]) return first;
      return claimed[second][c] ? second : "ambiguous";
    });
  }

  /** log p and log(1 - p) of the softmax, accurate where p is close to 1. */
  function logProbabilities(logits) {
    const top = argmax(logits);
    const below = logits.map((z) => z - logits[top]);
    const others = sum(below.map((d, c) => (c === top ? 0 : Math.exp(d))));
    const logP = below.map((d) => d - Math.log1p(others));
    // log(1 - p_top) is the log of what the others sum to, through the largest of them: their exponentials may all underflow.
    const rest = logP.filter((_, c) => c !== top);
    const largest = rest.length ? rest[argmax(rest)] : -Infinity;
    const logRest = largest > -Infinity ? largest + Math.log(sum(rest.map((l) => Math.exp(l - largest)))) : -Infinity;
    const log1mP = logP.map((l, c) => (c === top ? logRest : Math.log1p(-Math.exp(l))));
    return { logP, log1mP };
  }

  /**
   * l_tgt, l_neg, l_pos of one unlabelled snippet (Eqs. 5, 9, 11), their sum, and the gradient of that sum by the logits.
   * options: pseudoProbs (default: the softmax of the logits), positiveRatio, precedence.
   */
  function nonTargetLoss(logits, { pseudoProbs = softmax(logits), positiveRatio = 0.85, precedence = "negative" } = {}) {
    const sets = partition(pseudoProbs, positiveRatio, precedence);
    const { logP, log1mP } = logProbabilities(logits);
    const total = (name, values) => -sum(values.filter((_, c) => sets[c] === name));
    const terms = { target: total("target", logP), negative: total("negative", log1mP), positive: total("positive", logP) };

    const pulled = sets.map((name) => name === "target" || name === "positive");
    const gradient = logits.map((_, j) => pulled.filter(Boolean).length * Math.exp(logP[j]) - pulled[j]);
    sets.forEach((name, c) => {
      if (name !== "negative") return;
      // p_c p_j / (1 - p_c) as one exponential: it is finite where p_c rounds to 1.
      for (let j = 0; j < logits.length; j++) {
        gradient[j] += j === c ? Math.exp(logP[c]) : -Math.exp(logP[c] + logP[j] - log1mP[c]);
      }
    });
    return { sets, terms, loss: terms.target + terms.negative + terms.positive, gradient };
  }

  /** Temporal intersection over union of two segments [start, end]. */
  function tiou(a, b) {
    const intersection = Math.max(Math.min(a[1], b[1]) - Math.max(a[0], b[0]), 0);
    return intersection / (a[1] - a[0] + (b[1] - b[0]) - intersection);
  }

  /** Connected runs of true, as [start, end): first index and the one after the last. */
  function runs(mask) {
    const found = [];
    mask.forEach((on, t) => {
      if (on && !mask[t - 1]) found.push([t, t + 1]);
      else if (on) found[found.length - 1][1] = t + 1;
    });
    return found;
  }

  /** Runs of a curve above every threshold; a run that several thresholds give is listed once. Ordered by start, then end. */
  function runsAbove(curve, thresholds) {
    const found = new Map();
    for (const level of thresholds) for (const run of runs(curve.map((v) => v > level))) found.set(run.join(), run);
    return [...found.values()].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  }

  const prefixSums = (values) => values.reduce((sums, v) => (sums.push(sums[sums.length - 1] + v), sums), [0]);

  /**
   * Candidates of one class in one clip (spot_candidates): runs of its curve, and runs of the mean mask of each of those.
   * Score: contrast of the probability with its surroundings, a quarter of the length on either side, times the soft tIoU of segment
   * and mask. fromMask tells the two kinds apart.
   */
  function candidates(curve, masks, classThresholds, maskThresholds) {
    const base = runsAbove(curve, classThresholds);
    const total = curve.map((_, t) => prefixSums(masks.map((row) => row[t]))); // over the snippets whose masks they are
    const meanMasks = base.map(([start, end]) => total.map((sums) => (sums[end] - sums[start]) / (end - start)));
    const found = base.map((segment, origin) => ({ segment, origin, fromMask: false }));
    meanMasks.forEach((mask, origin) => {
      for (const segment of runsAbove(mask, maskThresholds)) found.push({ segment, origin, fromMask: true });
    });
    const probability = prefixSums(curve);
    const extent = meanMasks.map(prefixSums);
    return found.map(({ segment, origin, fromMask }) => {
      const [start, end] = segment;
      const inside = extent[origin][end] - extent[origin][start];
      const agreement = inside / (extent[origin][curve.length] + (end - start) - inside);
      const width = Math.max(Math.ceil(0.25 * (end - start)), 1);
      const [before, after] = [Math.max(start - width, 0), Math.min(end + width, curve.length)];
      const around = (probability[start] - probability[before] + probability[after] - probability[end]) / (2 * width);
      const contrast = (probability[end] - probability[start]) / (end - start) - around;
      return { segment, fromMask, score: Math.max(contrast, 0) * agreement };
    });
  }

  /**
   * Soft-NMS. segments: [[start, end]], labels: class of each, or null for one class.
   * Returns the kept indices and decayed scores, by falling score; among equal scores of a class the first listed wins.
   */
  function softNms(segments, scores, labels = null, options = {}) {
    const { method = "gaussian", sigma = 0.5, iouThreshold = 0.1, minScore = 0.001, maxDetections = 200 } = options;
    const classes = labels === null ? [null] : [...new Set(labels)].sort((a, b) => a - b);
    const limit = maxDetections === null ? Infinity : maxDetections;
    const kept = [];
    for (const label of classes) {
      const live = scores.map((s, i) => (s >= minScore && (labels === null || labels[i] === label) ? s : -Infinity));
      for (let round = 0; round < limit; round++) {
        const best = argmax(live);
        if (!(live[best] > -Infinity)) break;
        kept.push({ index: best, score: live[best] });
        live[best] = -Infinity;
        for (let i = 0; i < live.length; i++) {
          if (live[i] === -Infinity) continue;
          live[i] *= decay(overlapOf(segments[i], segments[best]), method, sigma, iouThreshold);
          if (!(live[i] >= minScore)) live[i] = -Infinity; // also 0 * -Infinity = NaN
        }
      }
    }
    kept.sort((a, b) => b.score - a.score); // stable
    const first = kept.slice(0, limit);
    return { indices: first.map((k) => k.index), scores: first.map((k) => k.score) };
  }

  /** tIoU, but 0 for two segments without length. */
  const overlapOf = (a, b) => tiou(a, b) || 0;

  function decay(overlap, method, sigma, iouThreshold) {
    if (method === "gaussian") return Math.exp((overlap * overlap * -1) / sigma);
    if (overlap < iouThreshold) return 1;
    return method === "linear" ? 1 - overlap : -Infinity; // removed, whatever the lowest score
  }

  const api = {
    SUBSPACES, argmax, softmax, claims, partition, logProbabilities, nonTargetLoss, tiou, runs, runsAbove, candidates, softNms,
  };
  root.nontargetCore = api;
  if (typeof module !== "undefined" && module.exports) module.exports = api;
})(typeof window === "undefined" ? globalThis : window);
