// When something that ends is worth an alert, as data. Loaded by libs/config from alerts.yaml.
import type { AlertSeverity } from '@keyline/fleet';

/** Fires when less than `within` milliseconds are left. */
export interface TimeThreshold {
  readonly within: number;
  readonly severity: AlertSeverity;
}

/** Fires when less than this share (0 to 1) of the whole lifetime is left. */
export interface ShareThreshold {
  readonly share: number;
  readonly severity: AlertSeverity;
}

export interface WebhookChannelConfig {
  readonly name: string;
  readonly url: string;
  /** Absolute path of a file with one `Name: value` a line; where secrets go. */
  readonly headersFile?: string | undefined;
  /** Absolute path of a PEM file: its server's certificate must be of one of these authorities. Absent: a public one, or one of ours. */
  readonly caFile?: string | undefined;
  /** Milliseconds one request may take. */
  readonly timeout: number;
  /** Requests tried, with growing pauses, before the follower's own retry takes over. */
  readonly attempts: number;
}

export interface AlertRules {
  /** Milliseconds between evaluations when nothing happens. */
  readonly evaluateEvery: number;
  /** Milliseconds a change may wait, so that changes that come together are evaluated once. */
  readonly debounce: number;
  /** Certificates with a lifetime below this (milliseconds) go by share, all others by time. */
  readonly shortLivedBelow: number;
  readonly longLived: readonly TimeThreshold[];
  readonly shortLived: readonly ShareThreshold[];
  /** Long-lived authorities; their successor needs weeks, not days. */
  readonly authorities: readonly TimeThreshold[];
  readonly crl: {
    /** Share (0 to 1) of the time between the planned publication and nextUpdate that may pass unused. */
    readonly overlapShare: number;
  };
  readonly channels: {
    readonly log: boolean;
    readonly webhooks: readonly WebhookChannelConfig[];
  };
}
