import type { Twilio } from "twilio";

/** A webhook request that the receiver has received. */
export interface ReceivedWebhook {
  /** The parameter `EventType`, such as `onMessageAdded`. */
  readonly eventType: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly url: string;
  readonly method: string;
  readonly body: string;
  /** Whether the signature is correct for the URL, the parameters and the Auth Token. */
  readonly signatureValid: boolean;
}

/** How to reach an instance. A test can pass this object to another process, for example with vitest's `provide`. */
export interface Address {
  readonly url: string;
  readonly accountSid: string;
  readonly authToken: string;
}

export interface StartOptions {
  /** The command that starts Convoke. The default is the environment variable `CONVOKE`, or `convoke`. */
  readonly command?: string;
  /** Additional environment variables. The new process also gets the variables of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Clock {
  /** The time after the move, in ISO 8601. */
  readonly now: string;
}

export interface Answer {
  /** How many webhooks get this answer. The default is 1. */
  readonly times?: number;
  /** Answer only events of this type. For the type of a pre-event, Convoke sends these pre-events from now on. */
  readonly eventType?: string;
}

/** What Convoke did with a message from a simulated phone. */
export interface SentMessage {
  /**
   * `unclaimed` means that no conversation and no address configuration expects the message. `rejected` means that the
   * receiver of a pre-event rejected the message.
   */
  readonly outcome: "added" | "repeated" | "rejected" | "unclaimed";
  /** The SIDs of the conversation and of the message. `null` if the message was not stored. */
  readonly conversationSid: string | null;
  readonly messageSid: string | null;
}

/** A message that a simulated phone has received. */
export interface PhoneMessage {
  readonly from: string;
  readonly body: string;
  /** `null` for a message from another phone, and for the carrier's automatic answer, for example to `STOP`. */
  readonly conversationSid: string | null;
  readonly messageSid: string | null;
}

/** A simulated phone. */
export interface Phone {
  readonly number: string;
  /** Send a message to a business number. A message to several receivers is a group MMS. */
  send(body: string, ...receivers: string[]): Promise<SentMessage>;
  /** The messages that the phone has received, oldest first. Use `settle` to wait for messages that must still arrive. */
  inbox(): Promise<PhoneMessage[]>;
}

/** An account of a running instance, with a webhook receiver that gets all post-events of the account. */
export interface Convoke extends Address {
  /** The address of the instance, for a call of `attach` in another process. */
  readonly address: Address;
  /** All webhooks that the receiver has received until now, in the order of arrival. */
  readonly receivedWebhooks: readonly ReceivedWebhook[];
  /** Return a Twilio SDK client for this instance. */
  client(): Twilio;
  /** Move the clock of the instance forward by an ISO 8601 duration, such as `PT30M`. */
  advance(duration: string): Promise<Clock>;
  /**
   * Start again without data. If `start` created this object, `reset` empties the whole instance and sets the clock to
   * real time. If `attach` created this object, `reset` creates a new account in the shared instance. Call `client()`
   * again after `reset`.
   */
  reset(): Promise<void>;
  /** Wait until all participants are added and all webhooks are delivered. Rejects after `timeout` milliseconds. */
  settle(options?: { readonly timeout?: number }): Promise<void>;
  /** Return the first webhook with this event type and all parameters. Waits up to `timeout` milliseconds for it. */
  waitForWebhook(
    eventType: string,
    parameters?: Readonly<Record<string, string>>,
    options?: { readonly timeout?: number },
  ): Promise<ReceivedWebhook>;
  /** Plan the answer to the next webhooks: a status and a body. An object is sent as JSON. */
  answer(status: number, body?: string | object, options?: Answer): Promise<void>;
  /** Make the next ConversationWithParticipants fail: reject the participant with index `n` with an error code. */
  failParticipant(n: number, code: number): Promise<void>;
  /** Return the simulated phone with this number. The phone can write to business numbers of the account. */
  phone(number: string): Phone;
  /** Keep the next ConversationWithParticipants in the state `initializing` until `release` is called. */
  hold(): Promise<void>;
  /** Release all held conversations, and cancel all planned failures. */
  release(): Promise<void>;
  /** Stop the receiver. Also stop the instance, if `start` started the instance. */
  stop(): Promise<void>;
}

/** All event types that a webhook can get. */
export const EVENT_TYPES: readonly string[];

/** Start an instance in a separate process, on a free port and without a data file. */
export function start(options?: StartOptions): Promise<Convoke>;

/** Create an account in a running instance, for example in an instance that another process started. */
export function attach(address: Address): Promise<Convoke>;
