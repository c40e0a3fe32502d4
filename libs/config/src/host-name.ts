// Names and addresses by which others reach this machine: what may stand in URLs and in certificates.
import { isIP } from 'node:net';
import { isDnsName } from '@keyline/x509';

const everywhere: readonly string[] = ['0.0.0.0', '::'];

/** What is wrong with it, in a sentence; undefined when devices can call it. */
export function findHostFault(host: string): string | undefined {
  const shown = `"${host.slice(0, 100)}"`;
  if (everywhere.includes(host)) {
    return `${shown} can be listened on, but not be called. Give the name or address by which devices reach this machine, for instance ca.example.org; what to listen on goes with listen.`;
  }
  // An address with a zone means something on one machine alone.
  if (isIP(host) !== 0 && !host.includes('%')) return undefined;
  const ascii = URL.parse(`http://${host}/`)?.hostname;
  if (!isDnsName(host) || host.includes('*')) {
    const instead =
      ascii !== undefined && /[^ -~]/.test(host) && isDnsName(ascii)
        ? ` Write it as ${ascii}.`
        : ' Give it without scheme, port and path, for instance ca.example.org or 192.0.2.10.';
    return `${shown} is neither a name nor an address that can stand in a certificate.${instead}`;
  }
  // RFC 3696 §2: a top-level label is never all digits.
  if (/(?:^|\.)\d+$/.test(host)) return `${shown} looks like an address and is none.`;
  if (!host.includes('.')) {
    return `${shown} is a single word, which can't stand in certificates (RFC 5280 §4.2.1.6). Give a full name (ca.example.org, raspberrypi.local) or an address.`;
  }
  return undefined;
}

/** As it stands in URLs and certificates: names in small letters, addresses in their shortest form. */
export function normalizeHost(host: string): string {
  return isIP(host) === 6 ? new URL(`http://[${host}]/`).hostname.slice(1, -1) : host.toLowerCase();
}

/** @returns what is wrong with it as an address to listen on, undefined for nothing */
export function findListenFault(address: string): string | undefined {
  return isIP(address) === 0
    ? `"${address.slice(0, 100)}" is no IP address to listen on. Give one of this machine's, or 0.0.0.0 or :: for all of them; names go with hosts.`
    : undefined;
}
