// nameConstraints (RFC 5280 §4.2.1.10), in and out. Whether a name is within them is libs/pki's question.
import { KeylineError } from '@keyline/kernel';
import { isDnsName } from './alternative-names.ts';
import { decodeAscii, derMalformed, readSequence, type DerReader } from './der-reader.ts';
import * as der from './der-writer.ts';
import { contextConstructedTag, contextTag } from './der-writer.ts';
import type { Extension } from './extensions.ts';
import { encodeIpAddress } from './ip-address.ts';
import { encodeName, type RelativeName } from './name.ts';
import { oids } from './oids.ts';

/** Subtrees of names, as people write them. */
export interface NameSubtrees {
  /** `example.com`: that name and every name below it. */
  readonly dns?: readonly string[] | undefined;
  /** CIDR: `10.0.0.0/8`, `2001:db8::/32`. */
  readonly ip?: readonly string[] | undefined;
  /** Hosts of URIs: `host.example.com` is that host alone, `.example.com` every host below. */
  readonly uri?: readonly string[] | undefined;
  /** Distinguished names that begin with these RDNs. */
  readonly directory?: readonly (readonly RelativeName[])[] | undefined;
}

export interface NameConstraints {
  readonly permitted?: NameSubtrees | undefined;
  readonly excluded?: NameSubtrees | undefined;
}

/** Critical, for authorities only. @throws {KeylineError} PROFILE_VIOLATION, REQUEST_INVALID */
export function encodeNameConstraints(constraints: NameConstraints): Extension {
  const permitted = encodeSubtrees(constraints.permitted);
  const excluded = encodeSubtrees(constraints.excluded);
  if (permitted.length + excluded.length === 0) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      'Name constraints must permit or exclude at least one name (RFC 5280 §4.2.1.10).',
    );
  }
  return {
    oid: oids.nameConstraints,
    critical: true,
    valueDer: der.sequence(
      ...(permitted.length === 0 ? [] : [der.explicit(0, ...permitted)]),
      ...(excluded.length === 0 ? [] : [der.explicit(1, ...excluded)]),
    ),
  };
}

function encodeSubtrees(subtrees: NameSubtrees = {}): Uint8Array[] {
  const { dns = [], ip = [], uri = [], directory = [] } = subtrees;
  const text = (tag: number, value: string): Uint8Array => {
    const host = tag === contextTag(6) && value.startsWith('.') ? value.slice(1) : value;
    if (!isDnsName(host) || host.startsWith('*')) {
      throw new KeylineError(
        'PROFILE_VIOLATION',
        `"${value.slice(0, 80)}" is not a host name, so it can't be a name constraint.`,
      );
    }
    return der.element(tag, Buffer.from(value, 'latin1'));
  };
  return [
    ...dns.map((value) => text(contextTag(2), value)),
    ...ip.map((value) => der.element(contextTag(7), encodeNetwork(value))),
    ...uri.map((value) => text(contextTag(6), value)),
    ...directory.map((value) => der.explicit(4, encodeName(value))),
  ].map((base) => der.sequence(base));
}

/** CIDR text → address and mask, 8 or 32 octets. */
function encodeNetwork(text: string): Uint8Array {
  const [addressText = '', bitsText = ''] = text.split('/');
  const address = encodeIpAddress(addressText);
  const bits = Number(bitsText);
  if (!/^\d{1,3}$/.test(bitsText) || bits > address.length * 8) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${text.slice(0, 60)}" is not a network; write it as 10.0.0.0/8 or 2001:db8::/32.`,
    );
  }
  const mask = Uint8Array.from(address, (_, i) => {
    const ones = Math.min(8, Math.max(0, bits - 8 * i));
    return 0xff00 >> ones;
  });
  return der.concat(
    address.map((octet, i) => octet & (mask[i] ?? 0)),
    mask,
  );
}

export interface ParsedNetwork {
  readonly address: Uint8Array;
  readonly mask: Uint8Array;
}

export interface ParsedSubtrees {
  readonly dns: string[];
  readonly ip: ParsedNetwork[];
  readonly uri: string[];
  /** Names, DER. */
  readonly directory: Uint8Array[];
  /** Tag octets of subtrees in other forms. */
  readonly otherForms: number[];
}

export interface ParsedNameConstraints {
  readonly permitted: ParsedSubtrees;
  readonly excluded: ParsedSubtrees;
}

const maxSubtrees = 256;

/** @throws {KeylineError} DER_MALFORMED; also for minimum or maximum, which RFC 5280 §4.2.1.10 does not use */
export function parseNameConstraints(valueDer: Uint8Array): ParsedNameConstraints {
  const reader = readSequence(valueDer);
  if (reader.isAtEnd()) throw derMalformed('empty nameConstraints (RFC 5280 §4.2.1.10)');
  const permitted = parseSubtrees(reader.enterOptional(contextConstructedTag(0)));
  const excluded = parseSubtrees(reader.enterOptional(contextConstructedTag(1)));
  reader.finish();
  return { permitted, excluded };
}

function parseSubtrees(reader: DerReader | undefined): ParsedSubtrees {
  const found: ParsedSubtrees = { dns: [], ip: [], uri: [], directory: [], otherForms: [] };
  if (reader?.isAtEnd() === true) throw derMalformed('an empty list of name subtrees');
  for (let count = 0; reader?.isAtEnd() === false; count++) {
    if (count === maxSubtrees) throw derMalformed('too many name constraints', reader.offset);
    const subtree = reader.enter();
    const base = subtree.read();
    subtree.finish();
    const content = subtree.content(base);
    switch (base.tag) {
      case contextTag(2):
        found.dns.push(decodeAscii(content));
        break;
      case contextTag(6):
        found.uri.push(decodeAscii(content));
        break;
      case contextTag(7):
        found.ip.push(parseNetwork(content, base.start));
        break;
      case contextConstructedTag(4):
        found.directory.push(readSequence(content).bytes);
        break;
      default:
        if ((base.tag & 0xc0) !== 0x80) throw derMalformed('no GeneralName', base.start);
        found.otherForms.push(base.tag);
    }
  }
  return found;
}

function parseNetwork(content: Uint8Array, offset: number): ParsedNetwork {
  const half = content.length / 2;
  if (half !== 4 && half !== 16) throw derMalformed('an IP constraint of odd length', offset);
  const mask = content.subarray(half);
  // RFC 4632: ones, then zeros. Anything else is a mistake that would let too much through.
  const bits = Array.from(mask, (octet) => octet.toString(2).padStart(8, '0')).join('');
  if (!/^1*0*$/.test(bits)) throw derMalformed('an IP mask with holes (RFC 4632)', offset);
  return { address: content.subarray(0, half), mask };
}
