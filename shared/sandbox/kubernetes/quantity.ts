const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimal = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];

/**
 * A resource quantity as the API server writes it: the largest suffix of the same family that leaves a whole
 * number (`0.5` is `500m`, `1024Mi` is `1Gi`). Undefined when it is none.
 */
export function canonicalQuantity(text: string): string | undefined {
  const match = /^([+-]?)(\d+)?(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?$/.exec(text);
  const whole = match?.[2] ?? '';
  const fraction = match?.[3] ?? '';
  if (!match || whole + fraction === '') return undefined;
  const suffix = match[4] ?? '';
  const digits = BigInt(whole + fraction);
  const sign = match[1] === '-' && digits !== 0n ? '-' : '';
  if (suffix.endsWith('i')) {
    const bytes = (digits * 1024n ** BigInt(binary.indexOf(suffix))) / 10n ** BigInt(fraction.length);
    return sign + shortest(bytes, binary, 1024n);
  }
  // In units of 1e-9, the smallest the API server keeps.
  const isExponent = /^[eE]/.test(suffix) && suffix.length > 1;
  const power = (isExponent ? Number(suffix.slice(1)) : (decimal.indexOf(suffix) - 3) * 3) + 9 - fraction.length;
  const nano = power >= 0 ? digits * 10n ** BigInt(power) : digits / 10n ** BigInt(-power);
  if (isExponent) return sign + inExponents(nano);
  return sign + shortest(nano, decimal, 1000n);
}

function shortest(value: bigint, suffixes: readonly string[], step: bigint): string {
  if (value === 0n) return '0';
  let rest = value;
  let index = 0;
  while (rest % step === 0n && index < suffixes.length - 1) {
    rest /= step;
    index += 1;
  }
  return `${rest}${suffixes[index]}`;
}

function inExponents(nano: bigint): string {
  if (nano === 0n) return '0';
  let rest = nano;
  let exponent = -9;
  while (rest % 1000n === 0n) {
    rest /= 1000n;
    exponent += 3;
  }
  return exponent === 0 ? String(rest) : `${rest}e${exponent}`;
}
