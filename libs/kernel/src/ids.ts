// Identifiers and the grammar each must keep.
import { randomBytes } from 'node:crypto';
import { KeylineError } from './errors.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** A device's name everywhere: certificate CN, MQTT user name and client id, topic level. */
export type DeviceId = Branded<'DeviceId'>;
/** Certificate serial: lower-case hex, even length, no 0x, at most 40 digits (RFC 5280 §4.1.2.2). */
export type SerialHex = Branded<'SerialHex'>;

// No '/', '+', '#' or '$' (MQTT topic syntax), no '@' (names of Keyline's own services carry one, so a device can never be called
// like a service), at most 64 characters (X.520 ub-common-name).
const deviceIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

/** @throws {KeylineError} DEVICE_ID_INVALID */
export function parseDeviceId(text: string): DeviceId {
  if (!deviceIdPattern.test(text)) {
    throw new KeylineError(
      'DEVICE_ID_INVALID',
      `"${text.slice(0, 80)}" can't be a device id: 1 to 64 of letters, digits, ".", "_", ":" and "-", beginning with a letter or digit.`,
    );
  }
  return text as DeviceId;
}

export function isDeviceId(text: string): text is DeviceId {
  return deviceIdPattern.test(text);
}

/** Accepts upper case and colons as `openssl x509 -serial` and browsers print them. @throws {KeylineError} REQUEST_INVALID */
export function parseSerialHex(text: string): SerialHex {
  const hex = text.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{1,40}$/.test(hex)) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `"${text.slice(0, 80)}" is not a certificate serial: give up to 40 hex digits.`,
    );
  }
  return (hex.length % 2 === 0 ? hex : `0${hex}`) as SerialHex;
}

/** A short random name with a prefix that says what it names: `tok_4f1c…` (96 bits). */
export function createId(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString('hex')}`;
}
