// Where a connect kit goes: `--kit DIR` or `--kit FILE.zip`, beside the older `--out DIR`.
import { resolve } from 'node:path';
import { isZip, type KitPlace } from '@keyline/client';
import { KeylineError } from '@keyline/kernel';
import type { CliContext } from '../context.ts';

export interface KitOptions {
  readonly out?: string;
  readonly kit?: string;
  readonly broker?: string;
}

export interface KitTarget {
  /** As it was typed, for what is said. */
  readonly said: string;
  /** Where key and certificate are made. Absolute. */
  readonly folder: string;
  /** Undefined: the files alone. */
  readonly kit: KitPlace | undefined;
}

/** @param usual the folder when neither is given @throws {KeylineError} USAGE */
export function kitTargetOf(
  context: CliContext,
  { out, kit }: KitOptions,
  usual?: string,
): KitTarget {
  if (out !== undefined && kit !== undefined) {
    throw new KeylineError(
      'USAGE',
      'Give --out DIR (the files alone) or --kit (with settings for clients), not both.',
    );
  }
  if (kit === undefined) {
    const said = out ?? usual;
    if (said === undefined) {
      throw new KeylineError(
        'USAGE',
        'Give --kit DIR or --kit FILE.zip (a connect kit), or --out DIR (key, certificate and broker.json alone).',
      );
    }
    return { said, folder: resolve(context.cwd, said), kit: undefined };
  }
  const place = resolve(context.cwd, kit);
  return isZip(kit)
    ? // Kept until the zip file is whole: the key in it may have its certificate, and an answer that was lost is asked for again.
      { said: kit, folder: `${place}.part`, kit: { zip: place } }
    : { said: kit, folder: place, kit: 'folder' };
}
