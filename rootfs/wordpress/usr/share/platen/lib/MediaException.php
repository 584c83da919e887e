<?php
declare( strict_types=1 );

namespace Platen;

/** A bucket did not do what it was asked to. The message is for an administrator's eyes. */
final class MediaException extends \RuntimeException {

	/** @param int $status of the answer; 0 when there was none */
	public function __construct( string $message, public readonly int $status = 0 ) {
		parent::__construct( $message );
	}

	/** Whether another try may go better. */
	public function isTransient(): bool {
		return 0 === $this->status || 429 === $this->status || $this->status >= 500;
	}
}
