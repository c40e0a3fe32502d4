// The name of a key algorithm as people write it.
import { KeylineError } from '@keyline/kernel';
import { keyAlgorithms, type KeyAlgorithm } from '@keyline/x509';

/** @throws {KeylineError} REQUEST_INVALID */
export function parseKeyAlgorithm(text: string): KeyAlgorithm {
  const algorithm = keyAlgorithms.find((name) => name === text);
  if (algorithm !== undefined) return algorithm;
  throw new KeylineError(
    'REQUEST_INVALID',
    `There is no key algorithm "${text.slice(0, 40)}". Known: ${keyAlgorithms.join(', ')}.`,
  );
}
