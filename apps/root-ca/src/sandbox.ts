// Whether this process is confined as keyline-root has to be. The launcher (bin/keyline-root) confines it; this refuses anything less.
import { KeylineError } from '@keyline/kernel';

/** `process.permission`; absent when Node runs without its permission model. */
export interface Permission {
  has(scope: string, reference?: string): boolean;
}

const denied = {
  net: 'the network',
  child: 'starting other programs',
  worker: 'threads',
  addon: 'native code',
  wasi: 'WASI',
  inspector: 'the debugger',
  ffi: 'foreign functions',
  'openssl.store': 'key stores of OpenSSL',
} as const;

// Node's permission model does not bound what these open: they have to be switched off.
const unbounded = ['node:sqlite', 'node:ffi'];

/**
 * @param permission `process.permission`
 * @param isAvailable whether there is a built-in module of this name
 * @throws {KeylineError} FORBIDDEN
 */
export function assertConfined(
  permission: Permission | undefined,
  isAvailable: (module: string) => boolean,
): asserts permission {
  if (permission === undefined) {
    throw new KeylineError(
      'FORBIDDEN',
      "keyline-root runs only in Node's permission model, and this process is not confined. Start it by its launcher, bin/keyline-root.",
    );
  }
  const open = Object.entries(denied).filter(([scope]) => permission.has(scope));
  // Without a reference: is everything allowed?
  const everything = permission.has('fs.read') || permission.has('fs.write');
  const allowed = [
    ...open.map(([, name]) => name),
    ...(everything ? ['the whole file system'] : []),
    ...unbounded.filter(isAvailable),
  ];
  if (allowed.length === 0) return;
  throw new KeylineError(
    'FORBIDDEN',
    `keyline-root must not be allowed ${allowed.join(', ')}, and this process is. Start it by its launcher, bin/keyline-root.`,
  );
}
