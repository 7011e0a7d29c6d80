import type { Twilio } from "twilio";

/** A webhook request that has arrived at the receiver. */
export interface ReceivedWebhook {
  /** The parameter `EventType`, such as `onMessageAdded`. */
  readonly eventType: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly url: string;
  readonly method: string;
  readonly body: string;
  /** Whether the signature matches the URL, the parameters and the Auth Token. */
  readonly signatureValid: boolean;
}

/** How to reach an instance. The object can be sent to another process, for example with `provide` of vitest. */
export interface Address {
  readonly url: string;
  readonly accountSid: string;
  readonly authToken: string;
}

export interface StartOptions {
  /** The command that starts Convoke. The default is the environment variable `CONVOKE`, or `convoke`. */
  readonly command?: string;
  /** Environment variables for the process, in addition to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Clock {
  /** The time after the move, in ISO 8601. */
  readonly now: string;
}

export interface Answer {
  /** How many webhooks get the answer. The default is 1. */
  readonly times?: number;
  /** Answer only events of this type. If it is the type of a pre-event, Convoke then sends these pre-events too. */
  readonly eventType?: string;
}

/** What became of a message of a simulated phone. */
export interface SentMessage {
  /** `unclaimed`: no conversation and no address configuration expects the message. `rejected`: by a pre-event. */
  readonly outcome: "added" | "repeated" | "rejected" | "unclaimed";
  /** The SIDs of the stored message, or `null`. */
  readonly conversationSid: string | null;
  readonly messageSid: string | null;
}

/** A message that a simulated phone has got. */
export interface PhoneMessage {
  readonly from: string;
  readonly body: string;
  /** `null` for an automatic answer of the carrier, such as the answer to `STOP`, and for a message of another phone. */
  readonly conversationSid: string | null;
  readonly messageSid: string | null;
}

/** A simulated phone. */
export interface Phone {
  readonly number: string;
  /** Send a message to a business number. A message to several receivers is a group MMS. */
  send(body: string, ...receivers: string[]): Promise<SentMessage>;
  /** The messages that the phone has got, oldest first. `settle` waits for the messages under way. */
  inbox(): Promise<PhoneMessage[]>;
}

/** An account of a running instance, with a webhook receiver that gets all post-events of the account. */
export interface Convoke extends Address {
  /** The address of the instance, for `attach` in another process. */
  readonly address: Address;
  /** All webhooks that have arrived until now, in the order of their arrival. */
  readonly receivedWebhooks: readonly ReceivedWebhook[];
  /** Return a Twilio SDK client for this instance. */
  client(): Twilio;
  /** Move the clock of the instance forward by an ISO 8601 duration, such as `PT30M`. */
  advance(duration: string): Promise<Clock>;
  /**
   * Start again without data. After `start`, `reset` empties the whole instance and sets the clock to real time. After
   * `attach`, `reset` creates a new account in the shared instance. Then call `client()` again.
   */
  reset(): Promise<void>;
  /** Wait until participants are added and webhooks are delivered. Rejects after `timeout` milliseconds. */
  settle(options?: { readonly timeout?: number }): Promise<void>;
  /** Return the first webhook with the event type and all parameters. Waits up to `timeout` milliseconds for it. */
  waitForWebhook(
    eventType: string,
    parameters?: Readonly<Record<string, string>>,
    options?: { readonly timeout?: number },
  ): Promise<ReceivedWebhook>;
  /** Answer the next webhooks with a status and a body. An object becomes JSON. */
  answer(status: number, body?: string | object, options?: Answer): Promise<void>;
  /** Reject the participant with the index `n` in the next ConversationWithParticipants with an error code. */
  failParticipant(n: number, code: number): Promise<void>;
  /** Return the simulated phone with a number. The phone writes to the business numbers of the account. */
  phone(number: string): Phone;
  /** Keep the next ConversationWithParticipants in the state `initializing` until `release` is called. */
  hold(): Promise<void>;
  /** Release held conversations and cancel planned failures. */
  release(): Promise<void>;
  /** Stop the receiver, and the instance if `start` has started it. */
  stop(): Promise<void>;
}

/** The types of all events that webhooks can get. */
export const EVENT_TYPES: readonly string[];

/** Start an instance in a separate process, on a free port and without a data file. */
export function start(options?: StartOptions): Promise<Convoke>;

/** Create an account in a running instance, for example in an instance that another process has started. */
export function attach(address: Address): Promise<Convoke>;
