// Whether the names of a certificate lie within the name constraints of the authorities above it (RFC 5280 §4.2.1.10, §6.1.3 (b), (c)).
import {
  canonicalRdns,
  encodeIpAddress,
  isDnsName,
  oids,
  parseAlternativeNames,
  parseNameConstraints,
  type ParsedAlternativeNames,
  type ParsedCertificate,
  type ParsedNameConstraints,
  type ParsedNetwork,
  type ParsedSubtrees,
} from '@keyline/x509';

/** The constraints an authority's certificate sets, if it does. @throws {KeylineError} DER_MALFORMED */
export function nameConstraintsOf(authority: ParsedCertificate): ParsedNameConstraints | undefined {
  const extension = authority.extensions.find(({ oid }) => oid === oids.nameConstraints);
  return extension === undefined ? undefined : parseNameConstraints(extension.valueDer);
}

const noNames: ParsedAlternativeNames = {
  dns: [],
  ip: [],
  uri: [],
  directory: [],
  hardwareModules: [],
  otherForms: [],
};

/** What breaks the constraints, as the end of a sentence ("… is not among the permitted ones"); undefined when nothing does. */
export function findNameFault(
  certificate: Pick<ParsedCertificate, 'subjectDer' | 'extensions'>,
  constraints: ParsedNameConstraints,
): string | undefined {
  const san = certificate.extensions.find(({ oid }) => oid === oids.subjectAltName);
  const names = san === undefined ? noNames : parseAlternativeNames(san.valueDer);
  const subject = canonicalRdns(certificate.subjectDer);
  const directory = names.directory.map(canonicalRdns);
  // An empty subject is no name (§6.1.3 (b)).
  if (subject.length > 0) directory.push(subject);
  return (
    findFault(constraints, 'dns', names.dns, dnsForm) ??
    findFault(constraints, 'ip', names.ip, ipForm) ??
    findFault(constraints, 'uri', names.uri, uriForm) ??
    findFault(constraints, 'directory', directory, directoryForm) ??
    findUnprocessed(constraints, names, subject)
  );
}

interface NameForm<Name, Subtree> {
  readonly title: string;
  show(name: Name): string;
  /** False when the constraint can't be applied to the name, which then is refused. */
  isComparable(name: Name): boolean;
  isWithin(name: Name, subtree: Subtree): boolean;
  /** True when some of what the name stands for is within: a wildcard stands for many. Absent: as `isWithin`. */
  overlaps?(name: Name, subtree: Subtree): boolean;
}

function findFault<Key extends 'dns' | 'ip' | 'uri' | 'directory', Name>(
  { permitted, excluded }: ParsedNameConstraints,
  key: Key,
  names: readonly Name[],
  form: NameForm<Name, ParsedSubtrees[Key][number]>,
): string | undefined {
  const allowed: readonly ParsedSubtrees[Key][number][] = permitted[key];
  const refused: readonly ParsedSubtrees[Key][number][] = excluded[key];
  if (allowed.length + refused.length === 0) return undefined;
  for (const name of names) {
    const shown = `the ${form.title} "${form.show(name).slice(0, 80)}"`;
    if (!form.isComparable(name)) return `${shown} can't be held against the name constraints`;
    const meets = (subtree: ParsedSubtrees[Key][number]): boolean =>
      form.overlaps === undefined ? form.isWithin(name, subtree) : form.overlaps(name, subtree);
    if (refused.some(meets)) return `${shown} is among the excluded ones`;
    if (allowed.length > 0 && !allowed.some((subtree) => form.isWithin(name, subtree))) {
      return `${shown} is not among the permitted ones`;
    }
  }
  return undefined;
}

/** `host` is `domain` or below it; a domain with a leading dot means below only, an empty one everything. */
function isHostWithin(host: string, domain: string): boolean {
  if (domain === '') return true;
  if (domain.startsWith('.')) return host.endsWith(domain) && host.length > domain.length;
  return host === domain || host.endsWith(`.${domain}`);
}

const dnsForm: NameForm<string, string> = {
  title: 'DNS name',
  show: (name) => name,
  isComparable: isDnsName,
  isWithin: (name, domain) => isHostWithin(name.toLowerCase(), domain.toLowerCase()),
  overlaps: (name, domain) => {
    const host = name.toLowerCase();
    const wanted = domain.toLowerCase();
    if (isHostWithin(host, wanted)) return true;
    const wild = host.startsWith('*.') ? host.slice(2) : undefined;
    return wild !== undefined && isHostWithin(wanted.replace(/^\./, ''), wild);
  },
};

const ipForm: NameForm<string, ParsedNetwork> = {
  title: 'IP address',
  show: (name) => name,
  isComparable: () => true,
  isWithin: (name, { address, mask }) => {
    const octets = encodeIpAddress(name);
    return (
      octets.length === address.length &&
      octets.every((octet, i) => {
        const bits = mask[i] ?? 0;
        return (octet & bits) === ((address[i] ?? 0) & bits);
      })
    );
  },
};

/** Host of a URI's authority; undefined where there is none. */
function hostOf(uri: string): string | undefined {
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1];
  return authority?.replace(/^.*@/, '').replace(/:\d*$/, '').toLowerCase();
}

const uriForm: NameForm<string, string> = {
  title: 'URI',
  show: (name) => name,
  // §4.2.1.10: without an authority, or with an address for a host, it must be refused.
  isComparable: (name) => {
    const host = hostOf(name);
    return host !== undefined && isDnsName(host) && !/^[\d.]+$/.test(host);
  },
  isWithin: (name, domain) => {
    const host = hostOf(name) ?? '';
    const wanted = domain.toLowerCase();
    return wanted === '' || wanted.startsWith('.') ? isHostWithin(host, wanted) : host === wanted;
  },
};

const directoryForm: NameForm<string[], Uint8Array> = {
  title: 'directory name',
  show: (name) => name.join(),
  isComparable: () => true,
  isWithin: (name, base) => {
    const rdns = canonicalRdns(base);
    return rdns.length <= name.length && rdns.every((rdn, i) => rdn === name[i]);
  },
};

const emailForm = 0x81;

/** A constraint on a form that is not processed here refuses every name of that form. */
function findUnprocessed(
  { permitted, excluded }: ParsedNameConstraints,
  names: ParsedAlternativeNames,
  subject: readonly string[],
): string | undefined {
  const constrained = new Set([...permitted.otherForms, ...excluded.otherForms]);
  if (constrained.size === 0) return undefined;
  const present = new Set(names.otherForms);
  if (names.hardwareModules.length > 0) present.add(0xa0);
  if (subject.some((rdn) => rdn.includes(`"${oids.emailAddress}=`))) present.add(emailForm);
  for (const form of present) {
    if (constrained.has(form)) {
      return `it has a name of the form [${String(form & 0x1f)}], whose constraints are not processed here`;
    }
  }
  return undefined;
}
