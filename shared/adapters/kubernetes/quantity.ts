const powersOfTen: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const powersOf1024 = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/**
 * A Kubernetes quantity in 1e-9 units, the smallest the API server keeps: `1000m` and `1` are the same, as are `1024Mi` and
 * `1Gi`. Undefined when it is none.
 */
export function quantityOf(value: unknown): bigint | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') return undefined;
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|[eE]([+-]?\d{1,2})|([numkMGTPE]?))$/.exec(text);
  const [, sign, whole = '', fraction = '', binary, exponent, decimal = ''] = match ?? [];
  if (match === null || whole + fraction === '') return undefined;
  const powerOfTen = 9 - fraction.length + (exponent === undefined ? (powersOfTen[decimal] ?? 0) : Number(exponent));
  const scaled =
    BigInt(whole + fraction) * (binary === undefined ? 1n : 1024n ** BigInt(powersOf1024.indexOf(binary) + 1));
  const nano = powerOfTen >= 0 ? scaled * 10n ** BigInt(powerOfTen) : scaled / 10n ** BigInt(-powerOfTen);
  return sign === '-' ? -nano : nano;
}
