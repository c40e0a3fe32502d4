// Passwords in the forms Mosquitto keeps them: PBKDF2-SHA512 (2.0: three members; 2.1: `$7$iterations$salt$hash`) and, to check
// only, 2.1's argon2id. Work is done in libuv's pool, a little at a time: logins must not hold up the journal's fsync there.
import { argon2, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const deriveBits = promisify(pbkdf2);
const deriveArgon2 = promisify(argon2);

/**
 * Mosquitto's own are 101, far too few; OWASP's 210,000 would stall a Mosquitto that is given the file, since it checks them on
 * its loop: 10 ms.
 */
const iterationsOfNew = 20_000;
const saltBytes = 12;
const hashBytes = 64;
const maximumIterations = 10_000_000;
const atOnce = 2;

let busy = 0;
const waiting: (() => void)[] = [];

async function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  if (busy >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
  else busy += 1;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) busy -= 1;
    else next();
  }
}

/** → `$7$…`, to be kept. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const hash = await inTurn(() => deriveBits(password, salt, iterationsOfNew, hashBytes, 'sha512'));
  return encode(iterationsOfNew, salt.toString('base64'), hash.toString('base64'));
}

const encode = (iterations: number, salt: string, hash: string): string =>
  `$7$${iterations}$${salt}$${hash}`;

const pbkdf2Form = /^\$7\$(\d{1,8})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/;
const argon2Form =
  /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

/** One that nothing is: to be checked where there is none. */
export const nobodysPassword = encode(
  iterationsOfNew,
  Buffer.alloc(saltBytes).toString('base64'),
  Buffer.alloc(hashBytes).toString('base64'),
);

export async function isPassword(encoded: string, password: string | Uint8Array): Promise<boolean> {
  const [, iterations, salt, hash] = pbkdf2Form.exec(encoded) ?? [];
  if (salt !== undefined && hash !== undefined) {
    const expected = Buffer.from(hash, 'base64');
    const rounds = Number(iterations);
    if (rounds < 1 || rounds > maximumIterations) return false;
    const derived = await inTurn(() =>
      deriveBits(password, Buffer.from(salt, 'base64'), rounds, expected.length, 'sha512'),
    );
    return timingSafeEqual(derived, expected);
  }
  const [, memory, passes, parallelism, nonce, tag] = argon2Form.exec(encoded) ?? [];
  if (nonce === undefined || tag === undefined) return false;
  const expected = Buffer.from(tag, 'base64');
  const derived = await inTurn(() =>
    deriveArgon2('argon2id', {
      message: password,
      nonce: Buffer.from(nonce, 'base64'),
      memory: Number(memory),
      passes: Number(passes),
      parallelism: Number(parallelism),
      tagLength: expected.length,
    }),
  );
  return timingSafeEqual(derived, expected);
}

/** Mosquitto 2.0's three members, or undefined when the password is in a form that only 2.1 knows. */
export function splitPassword(
  encoded: string,
): { password: string; salt: string; iterations: number } | undefined {
  const [, iterations, salt, password] = pbkdf2Form.exec(encoded) ?? [];
  if (salt === undefined || password === undefined) return undefined;
  return { password, salt, iterations: Number(iterations) };
}

export function joinPassword(password: string, salt: string, iterations: number): string {
  return encode(iterations, salt, password);
}
