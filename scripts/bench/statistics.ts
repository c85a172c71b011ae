/** The value below which the share `p` (0 to 1) of the samples lies, interpolated between neighbours; NaN without samples. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * p;
  const low = sorted[Math.floor(position)] ?? Number.NaN;
  const high = sorted[Math.ceil(position)] ?? Number.NaN;
  return low + (high - low) * (position - Math.floor(position));
}

/** The middle sample, or the mean of the two middle ones. */
export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

/**
 * The median of `a / b` round by round. Two arms of one round ran beside the same other work, so their ratio holds when
 * the machine's speed drifts from round to round.
 */
export function medianRatio(a: readonly number[], b: readonly number[]): number {
  return median(pairs(a, b, (x, y) => x / y));
}

/** The median of `a - b` round by round. */
export function medianDifference(a: readonly number[], b: readonly number[]): number {
  return median(pairs(a, b, (x, y) => x - y));
}

function pairs(a: readonly number[], b: readonly number[], combine: (x: number, y: number) => number): number[] {
  if (a.length !== b.length) throw new RangeError(`${a.length} and ${b.length} samples do not make pairs`);
  return a.map((value, index) => combine(value, b[index] ?? Number.NaN));
}

/**
 * The `k` of the best fit `y = c · x^k` (least squares of the logarithms): 1 grows with x, below 1 slower, 0 not at all.
 * Needs two different x, all values above 0.
 */
export function growthExponent(points: readonly { x: number; y: number }[]): number {
  const logs = points.map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }));
  const meanX = logs.reduce((sum, { x }) => sum + x, 0) / logs.length;
  const meanY = logs.reduce((sum, { y }) => sum + y, 0) / logs.length;
  const covariance = logs.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  const variance = logs.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  return covariance / variance;
}
