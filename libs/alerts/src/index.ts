export { AlertEngine, type AlertEngineOptions, type EvaluationResult } from './alert-engine.ts';
export {
  createAlertFollower,
  type AlertFollower,
  type AlertFollowerOptions,
} from './alert-follower.ts';
export type { AlertChange, AlertChannel, AlertLog } from './channel.ts';
export { evaluateAlerts, type Evaluation, type ExpiryReader } from './evaluate-alerts.ts';
export { conditionFinding, parseAlertKey, type AlertSubject, type Finding } from './finding.ts';
export { loadAlertChannels } from './load-channels.ts';
export { createLogChannel } from './log-channel.ts';
export type { AlertRules, ShareThreshold, TimeThreshold, WebhookChannelConfig } from './rules.ts';
export type { WatchedAuthority, WatchedCrl } from './things.ts';
export { createWebhookChannel, type WebhookChannelOptions } from './webhook-channel.ts';
