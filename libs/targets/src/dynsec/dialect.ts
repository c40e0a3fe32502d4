// How brokers that speak dynamic security differ, as far as rights go.

export interface Dialect {
  /**
   * Keyline's broker puts the user name in the place of `%u`. Mosquitto 2.0 does not, and 2.1 compares only up to the shorter of the two
   * names, so that "device12" would get into "device1"'s topics: there an acl_file has these rights (`compileAclFile`).
   */
  readonly fillsNames: boolean;
  /** Keyline's own extension: certificates are refused, and listed for each client, by serial. Elsewhere the CRL does what it can. */
  readonly knowsSerials: boolean;
  /** Keyline's own extension: a role has rates. Elsewhere nothing holds devices to them. */
  readonly limitsRates: boolean;
  /** createClient may give roles. On Mosquitto 2.0 that is a use-after-free once the role is deleted. */
  readonly inlineRoles: boolean;
}

/**
 * What a device has that must have nothing, on a broker with an acl_file: dynamic security asks the file for clients it does not know,
 * so one that was let go of has to stay known, and be denied.
 */
export const deniedRole = 'keyline-denied';
export const deniedPriority = 1000;
