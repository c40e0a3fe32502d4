// subjectAltName (RFC 5280 §4.2.1.6), in and out: the forms Keyline writes, and what of the others matters when they are read.
import { KeylineError } from '@keyline/kernel';
import { decodeAscii, derMalformed, readSequence, type DerReader } from './der-reader.ts';
import * as der from './der-writer.ts';
import { contextConstructedTag, contextTag } from './der-writer.ts';
import { decodeIpAddress, encodeIpAddress } from './ip-address.ts';
import { oids } from './oids.ts';

/** Names of a subjectAltName in the order they are to appear. */
export type AlternativeName =
  | { readonly dns: string }
  | { readonly ip: string }
  | { readonly uri: string }
  | { readonly hardwareModule: HardwareModule };

/** A hardwareModuleName (RFC 4108 §5): what an IDevID names its device by (IEEE 802.1AR). */
export interface HardwareModule {
  /** Dotted object identifier of the kind of hardware, from the maker's arc. */
  readonly type: string;
  readonly serialNumber: string;
}

/** SubjectAltName value. @throws {KeylineError} PROFILE_VIOLATION, REQUEST_INVALID for names that can't be written */
export function encodeAlternativeNames(names: readonly AlternativeName[]): Uint8Array<ArrayBuffer> {
  return der.sequence(
    ...names.map((name) => {
      if ('dns' in name) return encodeDnsName(name.dns);
      if ('uri' in name) return encodeUri(name.uri);
      if ('ip' in name) return der.element(contextTag(7), encodeIpAddress(name.ip));
      return encodeHardwareModule(name.hardwareModule);
    }),
  );
}

function encodeHardwareModule({ type, serialNumber }: HardwareModule): Uint8Array {
  const octets = Buffer.from(serialNumber, 'utf8');
  if (octets.length === 0 || octets.length > 255) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${serialNumber.slice(0, 80)}" can't be the serial number of a hardwareModuleName: 1 to 255 octets.`,
    );
  }
  const value = der.sequence(der.oid(type), der.octetString(octets));
  return der.explicit(0, der.oid(oids.hardwareModuleName), der.explicit(0, value));
}

// RFC 5280 §4.2.1.6: preferred name syntax (RFC 1034 §3.5, RFC 1123 §2.1); a wildcard only as the whole first label.
const dnsName =
  /^(?:\*\.)?(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

export function isDnsName(name: string): boolean {
  return name.length <= 253 && dnsName.test(name);
}

function encodeDnsName(name: string): Uint8Array {
  if (!isDnsName(name)) {
    throw new KeylineError('PROFILE_VIOLATION', `"${name.slice(0, 80)}" is not a DNS name.`);
  }
  // RFC 3696 §2: a top-level label is never all digits. Clients look for an address in iPAddress alone (RFC 9525 §6.2).
  if (/(?:^|\.)\d+$/.test(name)) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${name}" is an address, not a DNS name: no client would find it there. Give it among the IP addresses.`,
    );
  }
  return der.element(contextTag(2), Buffer.from(name, 'latin1'));
}

// RFC 3986 characters; a scheme first.
const uriPattern = /^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;

/** `[6]` uniformResourceIdentifier. @throws {KeylineError} PROFILE_VIOLATION */
export function encodeUri(uri: string): Uint8Array {
  if (uri.length > 1024 || !uriPattern.test(uri)) {
    throw new KeylineError('PROFILE_VIOLATION', `"${uri.slice(0, 80)}" is not a URI.`);
  }
  return der.element(contextTag(6), Buffer.from(uri, 'latin1'));
}

/** Names read from a subjectAltName. */
export interface ParsedAlternativeNames {
  readonly dns: string[];
  readonly ip: string[];
  readonly uri: string[];
  /** Names, DER. */
  readonly directory: Uint8Array[];
  readonly hardwareModules: HardwareModule[];
  /** Tag octets of the names in other forms (e-mail, other names). */
  readonly otherForms: number[];
}

/** @throws {KeylineError} DER_MALFORMED */
export function parseAlternativeNames(valueDer: Uint8Array): ParsedAlternativeNames {
  const names = readSequence(valueDer);
  if (names.isAtEnd()) throw derMalformed('an empty subjectAltName (RFC 5280 §4.2.1.6)');
  const found: ParsedAlternativeNames = {
    dns: [],
    ip: [],
    uri: [],
    directory: [],
    hardwareModules: [],
    otherForms: [],
  };
  while (!names.isAtEnd()) {
    const name = names.read();
    const content = names.content(name);
    switch (name.tag) {
      case contextTag(2):
        found.dns.push(decodeAscii(content));
        break;
      case contextTag(6):
        found.uri.push(decodeAscii(content));
        break;
      case contextTag(7): {
        const address = decodeIpAddress(content);
        if (address === undefined) throw derMalformed('an IP address of odd length', name.start);
        found.ip.push(address);
        break;
      }
      case contextConstructedTag(4):
        found.directory.push(readSequence(content).bytes);
        break;
      default: {
        if ((name.tag & 0xc0) !== 0x80) throw derMalformed('no GeneralName', name.start);
        const hardwareModule =
          name.tag === contextConstructedTag(0)
            ? parseHardwareModule(names.inside(name))
            : undefined;
        if (hardwareModule === undefined) found.otherForms.push(name.tag);
        else found.hardwareModules.push(hardwareModule);
      }
    }
  }
  return found;
}

/** @param other a reader inside the `[0]` of an OtherName; undefined when it is of another type */
function parseHardwareModule(other: DerReader): HardwareModule | undefined {
  if (other.readOid() !== oids.hardwareModuleName) return undefined;
  const wrapper = other.enter(contextConstructedTag(0));
  other.finish();
  const value = wrapper.enter();
  wrapper.finish();
  const type = value.readOid();
  const serialNumber = Buffer.from(value.readOctetString()).toString('utf8');
  value.finish();
  return { type, serialNumber };
}
