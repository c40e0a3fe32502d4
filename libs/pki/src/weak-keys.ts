// Keys that have the right size and can be broken nevertheless, because of how they were made. Every test has a fixed bound: RSA costs
// a fraction of a millisecond, EC nothing.
import { KeylineError } from '@keyline/kernel';
import { algorithms, hexOf, readSequence, type PublicKeyDetails } from '@keyline/x509';

/**
 * @throws {KeylineError} CSR_KEY_WEAK for an RSA modulus with a small prime factor, with two primes close to each other, or of the
 *   generator known as ROCA (CVE-2017-15361). Sizes and exponents are `parsePublicKey`'s concern; Ed25519 keys of small order prove nothing
 *   to OpenSSL, which then finds the signature wrong.
 */
export function assertStrongKey({ algorithm, publicKey }: PublicKeyDetails): void {
  if (algorithms[algorithm].family !== 'rsa') return;
  const fault = findRsaFault(readModulus(publicKey));
  if (fault === undefined) return;
  throw new KeylineError(
    'CSR_KEY_WEAK',
    `The public key in the CSR ${fault}. It can be broken: make a new key pair with another generator, and look at what else was made with this one.`,
  );
}

function readModulus(publicKey: Uint8Array): bigint {
  return BigInt(`0x${hexOf(readSequence(publicKey).readInteger())}`);
}

function findRsaFault(modulus: bigint): string | undefined {
  const residues = smallResidues(modulus);
  const factor = residues.find(([, residue]) => residue === 0)?.[0];
  if (factor !== undefined) {
    return `has a modulus that ${String(factor)} divides (small prime factor)`;
  }
  if (hasRocaFingerprint(residues)) {
    return 'has the fingerprint of a generator whose primes can be computed (ROCA, CVE-2017-15361)';
  }
  if (hasClosePrimes(modulus)) {
    return 'has a modulus of two primes close to each other (found by the method of Fermat)';
  }
  return undefined;
}

// --- small factors

const smallPrimeLimit = 10_000;
const smallPrimes = primesBelow(smallPrimeLimit);
/** Products of primes that a Number still holds exactly, with their primes: one division of the modulus serves several. */
const primeGroups = groupPrimes(smallPrimes);

function primesBelow(limit: number): number[] {
  const composite = new Uint8Array(limit);
  const primes: number[] = [];
  for (let candidate = 2; candidate < limit; candidate++) {
    if (composite[candidate] === 1) continue;
    primes.push(candidate);
    for (let multiple = candidate ** 2; multiple < limit; multiple += candidate) {
      composite[multiple] = 1;
    }
  }
  return primes;
}

interface PrimeGroup {
  readonly product: bigint;
  readonly primes: readonly number[];
}

function groupPrimes(primes: readonly number[]): PrimeGroup[] {
  const groups: PrimeGroup[] = [];
  let product = 1;
  let members: number[] = [];
  for (const prime of primes) {
    if (product * prime > Number.MAX_SAFE_INTEGER) {
      groups.push({ product: BigInt(product), primes: members });
      product = 1;
      members = [];
    }
    product *= prime;
    members.push(prime);
  }
  groups.push({ product: BigInt(product), primes: members });
  return groups;
}

/** The modulus modulo each small prime. */
function smallResidues(modulus: bigint): [prime: number, residue: number][] {
  const residues: [number, number][] = [];
  for (const { product, primes } of primeGroups) {
    const rest = Number(modulus % product);
    for (const prime of primes) residues.push([prime, rest % prime]);
  }
  return residues;
}

// --- ROCA: every prime of that generator is 65537^a modulo M, the product of the first 126 primes (for moduli of 1,984 bits and more),
// and so is the modulus. (Nemec, Sys, Svenda, Klinec, Matyas: The Return of Coppersmith's Attack, 2017, §3.)

const rocaPrimes = 126;
const rocaGenerator = 65537;
/** For each of the primes of M whose powers of 65537 are not all residues: those powers. */
const rocaPowers = new Map(
  smallPrimes
    .slice(0, rocaPrimes)
    .map((prime): [number, ReadonlySet<number>] => [prime, powersModulo(prime)])
    .filter(([prime, powers]) => powers.size < prime - 1),
);

function powersModulo(prime: number): ReadonlySet<number> {
  const powers = new Set<number>();
  for (let power = 1 % prime; !powers.has(power); power = (power * rocaGenerator) % prime) {
    powers.add(power);
  }
  return powers;
}

function hasRocaFingerprint(residues: readonly (readonly [number, number])[]): boolean {
  return residues
    .slice(0, rocaPrimes)
    .every(([prime, residue]) => rocaPowers.get(prime)?.has(residue) ?? true);
}

// --- Fermat

const fermatRounds = 100;
/** A square modulo each of these is a rare thing among numbers that are none: one in 120 passes. */
const squareFilters = [64, 63, 65, 11, 17, 19].map((divisor) => ({
  divisor,
  squares: new Set(Array.from({ length: divisor }, (_, root) => root ** 2 % divisor)),
}));
const filterProduct = BigInt(squareFilters.reduce((product, { divisor }) => product * divisor, 1));

/** Whether modulus = a² - b² for one of the first `a` from its root on: then its factors are a - b and a + b. */
function hasClosePrimes(modulus: bigint): boolean {
  let a = integerRoot(modulus);
  if (a * a < modulus) a++;
  let square = a * a - modulus;
  for (let round = 0; round < fermatRounds; round++) {
    if (isSquare(square)) return true;
    square += 2n * a + 1n;
    a++;
  }
  return false;
}

function isSquare(value: bigint): boolean {
  const rest = Number(value % filterProduct);
  if (squareFilters.some(({ divisor, squares }) => !squares.has(rest % divisor))) return false;
  const root = integerRoot(value);
  return root * root === value;
}

/** The largest integer whose square is not above the value (Newton's method, from above). */
function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  const bits = value.toString(16).length * 4;
  let root = 1n << BigInt(Math.ceil(bits / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
