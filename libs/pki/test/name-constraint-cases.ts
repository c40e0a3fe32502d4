// Names beside name constraints, with the verdict RFC 5280 §4.2.1.10 gives; OpenSSL is asked for its own.
import type { AlternativeName, NameConstraints, RelativeName } from '@keyline/x509';

export const company = (...more: RelativeName[]): RelativeName[] => [
  { attribute: 'O', value: 'Example Plant' },
  ...more,
];
export const unit: RelativeName = { attribute: 'OU', value: 'Pumps' };
export const person: RelativeName = { attribute: 'CN', value: 'pump-1' };

export interface NameCase {
  readonly title: string;
  readonly constraints: NameConstraints;
  readonly names: readonly AlternativeName[];
  readonly subject?: readonly RelativeName[];
  readonly verdict: 'valid' | 'invalid';
  /** Where OpenSSL does not go by RFC 5280. */
  readonly opensslDiffers?: true;
}

export const dns = { permitted: { dns: ['example.com'] } };
export const net = { permitted: { ip: ['10.0.0.0/8', '2001:db8::/32'] } };
export const hosts = { permitted: { uri: ['host.example.com', '.below.example.com'] } };
const directory = { permitted: { directory: [company()] } };

export const cases: readonly NameCase[] = [
  {
    title: 'the DNS name itself',
    constraints: dns,
    names: [{ dns: 'example.com' }],
    verdict: 'valid',
  },
  {
    title: 'a DNS name below',
    constraints: dns,
    names: [{ dns: 'a.b.EXAMPLE.com' }],
    verdict: 'valid',
  },
  {
    title: 'a DNS name that only ends alike',
    constraints: dns,
    names: [{ dns: 'badexample.com' }],
    verdict: 'invalid',
  },
  {
    title: 'one good and one bad DNS name',
    constraints: dns,
    names: [{ dns: 'example.com' }, { dns: 'example.org' }],
    verdict: 'invalid',
  },
  {
    title: 'a name of another form',
    constraints: dns,
    names: [{ uri: 'urn:x:y' }],
    verdict: 'valid',
  },
  { title: 'no alternative name', constraints: dns, names: [], verdict: 'valid' },
  {
    title: 'an excluded DNS name',
    constraints: { excluded: { dns: ['example.com'] } },
    names: [{ dns: 'a.example.com' }],
    verdict: 'invalid',
  },
  {
    title: 'a DNS name beside the excluded one',
    constraints: { excluded: { dns: ['example.com'] } },
    names: [{ dns: 'example.org' }],
    verdict: 'valid',
  },
  {
    title: 'an excluded name within the permitted ones',
    constraints: { ...dns, excluded: { dns: ['bad.example.com'] } },
    names: [{ dns: 'very.bad.example.com' }],
    verdict: 'invalid',
  },
  {
    title: 'a wildcard that covers an excluded name',
    constraints: { excluded: { dns: ['bad.example.com'] } },
    names: [{ dns: '*.example.com' }],
    verdict: 'invalid',
    opensslDiffers: true,
  },
  {
    title: 'a wildcard within the permitted names',
    constraints: dns,
    names: [{ dns: '*.example.com' }],
    verdict: 'valid',
  },
  {
    title: 'an IPv4 address within',
    constraints: net,
    names: [{ ip: '10.255.0.1' }],
    verdict: 'valid',
  },
  {
    title: 'an IPv4 address outside',
    constraints: net,
    names: [{ ip: '11.0.0.1' }],
    verdict: 'invalid',
  },
  {
    title: 'an IPv6 address within',
    constraints: net,
    names: [{ ip: '2001:db8:ffff::1' }],
    verdict: 'valid',
  },
  {
    title: 'an IPv6 address outside',
    constraints: net,
    names: [{ ip: '2001:db9::1' }],
    verdict: 'invalid',
  },
  {
    title: 'IPv6 where only IPv4 is permitted',
    constraints: { permitted: { ip: ['10.0.0.0/8'] } },
    names: [{ ip: '::1' }],
    verdict: 'invalid',
  },
  {
    title: 'an excluded address',
    constraints: { excluded: { ip: ['192.0.2.128/25'] } },
    names: [{ ip: '192.0.2.200' }],
    verdict: 'invalid',
  },
  {
    title: 'an address beside the excluded ones',
    constraints: { excluded: { ip: ['192.0.2.128/25'] } },
    names: [{ ip: '192.0.2.100' }],
    verdict: 'valid',
  },
  {
    title: 'a URI at the host',
    constraints: hosts,
    names: [{ uri: 'https://host.example.com/x' }],
    verdict: 'valid',
  },
  {
    title: 'a URI below the host',
    constraints: hosts,
    names: [{ uri: 'https://a.host.example.com/x' }],
    verdict: 'invalid',
  },
  {
    title: 'a URI below the domain',
    constraints: hosts,
    names: [{ uri: 'mqtts://a.below.example.com:8883' }],
    verdict: 'valid',
  },
  {
    title: 'a URI at the domain itself',
    constraints: hosts,
    names: [{ uri: 'https://below.example.com/' }],
    verdict: 'invalid',
  },
  {
    title: 'a URI with a user before the host',
    constraints: hosts,
    names: [{ uri: 'https://host.example.com@evil.org/' }],
    verdict: 'invalid',
  },
  {
    title: 'a URI without a host',
    constraints: hosts,
    names: [{ uri: 'urn:keyline:device:x' }],
    verdict: 'invalid',
  },
  {
    title: 'a URI with an address for a host',
    constraints: { excluded: { uri: ['example.com'] } },
    names: [{ uri: 'https://10.0.0.1/' }],
    verdict: 'invalid',
    opensslDiffers: true,
  },
  {
    title: 'a subject within',
    constraints: directory,
    names: [],
    subject: company(unit, person),
    verdict: 'valid',
  },
  {
    title: 'a subject in other letters (RFC 5280 §7.1)',
    constraints: directory,
    names: [],
    subject: [{ attribute: 'O', value: 'EXAMPLE  plant' }, person],
    verdict: 'valid',
  },
  {
    title: 'a subject of somebody else',
    constraints: directory,
    names: [],
    subject: [{ attribute: 'O', value: 'Other' }, person],
    verdict: 'invalid',
  },
  {
    title: 'a subject that has the parts in another order',
    constraints: directory,
    names: [],
    subject: [unit, ...company(person)],
    verdict: 'invalid',
  },
  {
    title: 'an excluded subject',
    constraints: { excluded: { directory: [company(unit)] } },
    names: [],
    subject: company(unit, person),
    verdict: 'invalid',
  },
  {
    title: 'a subject beside the excluded ones',
    constraints: { excluded: { directory: [company(unit)] } },
    names: [],
    subject: company(person),
    verdict: 'valid',
  },
  {
    title: 'a subject in a longer form than it has',
    constraints: { permitted: { directory: [company(unit)] } },
    names: [],
    subject: company(),
    verdict: 'invalid',
  },
];
