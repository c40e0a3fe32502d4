// Which device a CSR is for.
import { isKeylineError, KeylineError, parseDeviceId, type DeviceId } from '@keyline/kernel';
import type { Csr } from '@keyline/pki';
import type { Caller } from '../caller.ts';

/**
 * The id a CSR is for: the one asked for, which the CSR's CN must not contradict, else the CN.
 * @throws {KeylineError} DEVICE_ID_INVALID, CSR_SUBJECT_MISMATCH
 */
export function resolveDeviceId(asked: string | undefined, csr: Csr): DeviceId {
  if (asked === undefined) {
    if (csr.commonName === undefined) {
      throw new KeylineError(
        'DEVICE_ID_INVALID',
        'There is no device id: send "id", or a CSR whose subject has a CN.',
      );
    }
    return parseDeviceId(csr.commonName);
  }
  if (csr.commonName !== undefined && csr.commonName !== asked) {
    throw new KeylineError(
      'CSR_SUBJECT_MISMATCH',
      `The request is for "${asked}" but the CSR's CN is "${csr.commonName.slice(0, 80)}". Make them equal, or leave the CN out of the CSR.`,
    );
  }
  return parseDeviceId(asked);
}

/**
 * Says nothing of the other identity: whoever asks may not know its name.
 * @param owner whose key it is, for the log and the ledger
 */
export function keyInUse(id: string, owner: string | number | undefined): KeylineError {
  return new KeylineError(
    'CSR_KEY_IN_USE',
    `The key in the CSR for "${id}" belongs to another identity already. Every device needs a key pair of its own. An operator finds whose it is in the ledger (a refused call).`,
    owner === undefined ? {} : { context: { owner } },
  );
}

/** The same refusal for who may look up any device: with the owner's name. Others are given what was said to a stranger. */
export function nameOwner(error: unknown, caller: Caller | 'keyline'): unknown {
  if (!isKeylineError(error) || error.code !== 'CSR_KEY_IN_USE' || caller === 'keyline') {
    return error;
  }
  const { owner } = error.context;
  if (owner === undefined || (caller.role !== 'admin' && caller.role !== 'operator')) return error;
  return new KeylineError(
    'CSR_KEY_IN_USE',
    `The key in the CSR belongs to "${String(owner)}" already. Every identity needs a key pair of its own: make a new one.`,
    { cause: error, context: { owner } },
  );
}
