<?php
declare( strict_types=1 );

namespace Platen;

/**
 * WordPress' database with two endpoints: readers for what visitors read, the writer for the rest.
 *
 * No connection is made before a statement needs it: a visitor's page opens none to the writer.
 * When a reader is gone its statements run on the writer. When the writer is gone reads go on from
 * a reader and writes fail with an error that says so. Only when nobody has answered anything yet
 * and a read cannot be answered, the page ends as WordPress ends it without a database.
 */
final class SplitDatabase extends \wpdb {

	/** The cookie of a visitor who has just written: for some seconds he reads from the writer. */
	public const COOKIE = 'platen_wrote';

	private const CONNECT = 2;  // seconds, each address
	private const ANSWER  = 10; // seconds that a reader may take: after that the writer is asked
	// Seconds in which a request that must write looks for the writer. A page: less than a person
	// waits, and few enough that a failover does not hold all of php's children. A job or cron:
	// longer than Aurora's failover takes, since nobody would repeat its work.
	private const PATIENCE_PAGE = 4.0;
	private const PATIENCE_JOB  = 60.0;
	private const PAUSE         = 1;    // seconds in which no visitor's page tries a server that was gone
	private const AGAIN         = 5.0;  // seconds in which a page does not try again what it has found gone itself
	private const IDLE          = 0.25; // seconds after which a connection is tried before it gets a write
	private const AGE           = 60.0; // seconds that a reader's connection lasts, and up to half of it more

	private const LOST    = array( 2006, 2013, 2055, 4031, 1927, 1053, 1152, 1158, 1159, 1160, 1161 );
	// The server says that it will not: it is read-only by now, or not in its cluster. Nothing ran.
	private const REFUSED = array( 1290, 1792, 1836, 1047 );
	// What the writer would answer too, or should not be asked to repeat: the text is wrong, or it took too long.
	private const FINAL = array( 1064, 1969, 3024 );

	private ?Link $platen_writer   = null;
	private ?Link $platen_reader   = null;
	private ?Link $platen_selected = null; // had the last SELECT: FOUND_ROWS() speaks of it
	private ?Link $platen_last     = null; // had the last statement: SHOW WARNINGS speaks of it

	private readonly string $platen_reader_address;
	private readonly bool $platen_split;      // reader mode
	private readonly float $platen_patience;
	private bool $platen_pinned      = false; // the writer's connection is not like others any more
	private bool $platen_transaction = false;
	private bool $platen_broken      = false; // a transaction's connection is lost: the rest of it must not run alone
	private bool $platen_bound       = false; // the writer's connection holds locks, variables, temporary tables
	private bool $platen_answered    = false; // a server has answered in this process
	private ?int $platen_lag         = null;  // of the reader's server, as last asked
	private float $platen_lag_at     = 0.0;
	private bool $platen_gave_up     = false; // the writer was looked for as long as this request may
	private string $platen_why       = '';    // what the last try met
	/** @var array{reader: float, writer: float} when this request could not open a link */
	private array $platen_failed = array( 'reader' => 0.0, 'writer' => 0.0 );
	private float $platen_told       = 0.0;   // when the cookie was set
	/** @var array{reader: int, writer: int} */
	private array $platen_count = array( 'reader' => 0, 'writer' => 0 );

	/**
	 * Connects to nothing yet.
	 *
	 * @param string $dbuser
	 * @param string $dbpassword
	 * @param string $dbname
	 * @param string     $dbhost   the writer's host:port
	 * @param bool|null  $split    whether to read from readers; null: as the request allows
	 * @param float|null $patience seconds to look for a writer that is gone; null: as the request allows
	 */
	public function __construct( $dbuser, #[\SensitiveParameter] $dbpassword, $dbname, $dbhost, ?bool $split = null, ?float $patience = null ) {
		mysqli_report( MYSQLI_REPORT_OFF );
		if ( WP_DEBUG && WP_DEBUG_DISPLAY ) {
			$this->show_errors();
		}
		$this->dbuser     = $dbuser;
		$this->dbpassword = $dbpassword;
		$this->dbname     = $dbname;
		$this->dbhost     = $dbhost;
		$this->is_mysql   = true;

		$this->platen_reader_address = (string) Config::values()['db']['reader'];
		$this->platen_split          = '' !== $this->platen_reader_address && $this->platen_reader_address !== $dbhost
			&& ( $split ?? self::mayReadFromReaders( $_SERVER, $_COOKIE, get_included_files()[0] ?? '', PHP_SAPI ) );
		$this->platen_patience       = $patience ?? ( 'cli' === PHP_SAPI || defined( 'DOING_CRON' ) ? self::PATIENCE_JOB : self::PATIENCE_PAGE );

		$this->init_charset();
		$this->ready = true;
		if ( 'cli' !== PHP_SAPI ) {
			header_register_callback( array( $this, 'report' ) );
		}
	}

	/**
	 * Whether a request may read from readers: an anonymous GET or HEAD of a page, of the REST API or
	 * of AJAX. What may be somebody's who has just written, or who works here, may not.
	 *
	 * @param array<string, mixed> $server
	 * @param array<string, mixed> $cookies
	 * @param string               $script  the file that the request runs
	 * @param string               $sapi    how PHP runs
	 */
	public static function mayReadFromReaders( array $server, array $cookies, string $script, string $sapi ): bool {
		if ( 'cli' === $sapi || defined( 'PLATEN_JOB' ) || defined( 'DOING_CRON' ) || defined( 'WP_CLI' ) || defined( 'WP_INSTALLING' ) ) {
			return false;
		}
		if ( ! in_array( $server['REQUEST_METHOD'] ?? '', array( 'GET', 'HEAD' ), true ) ) {
			return false;
		}
		// Everything else in wp-admin, and wp-login.php, wp-cron.php, wp-signup.php …
		if ( ! in_array( $script, array( ABSPATH . 'index.php', ABSPATH . 'wp-admin/admin-ajax.php' ), true ) ) {
			return false;
		}
		foreach ( array( 'HTTP_AUTHORIZATION', 'REDIRECT_HTTP_AUTHORIZATION', 'PHP_AUTH_USER' ) as $login ) {
			if ( '' !== (string) ( $server[ $login ] ?? '' ) ) {
				return false; // an application's password makes a user without a cookie
			}
		}
		$logged_in = defined( 'LOGGED_IN_COOKIE' ) ? LOGGED_IN_COOKIE : 'wordpress_logged_in_';
		foreach ( array_keys( $cookies ) as $name ) {
			if ( self::COOKIE === $name || str_starts_with( (string) $name, 'wordpress_logged_in_' ) || $logged_in === $name ) {
				return false;
			}
		}
		return true;
	}

	/** Whether this request reads from readers. True also while their lag sends it to the writer. */
	public function reads_from_readers(): bool {
		return $this->platen_split;
	}

	/**
	 * How many of WordPress' statements went where so far; those that prepare a connection are not in it.
	 *
	 * @return array{reader: int, writer: int}
	 */
	public function queries_by_server(): array {
		return $this->platen_count;
	}

	/** Tells who may know it how many statements went where until the headers are sent: PHP calls it then. */
	public function report(): void {
		$user = $GLOBALS['current_user'] ?? null; // not asked for: that could need the database
		if ( Config::tokenMatches() || ( $user instanceof \WP_User && $user->ID > 0 && $user->has_cap( 'manage_options' ) ) ) {
			header( sprintf( 'X-Platen-DB: reader=%d writer=%d', $this->platen_count['reader'], $this->platen_count['writer'] ) );
		}
	}

	/**
	 * Runs a statement where it belongs. False on an error, with the reason in $last_error: also when
	 * no server is left that could run it.
	 *
	 * @param string $query
	 * @return int|bool as wpdb's
	 */
	public function query( $query ) {
		if ( ! $this->ready ) {
			$this->check_current_query = true;
			return false;
		}
		$query = apply_filters( 'query', $query );
		if ( ! $query ) {
			$this->insert_id = 0;
			return false;
		}
		$this->flush();
		$this->func_call = "\$db->query(\"$query\")";

		if ( $this->check_current_query && ! $this->check_ascii( $query ) ) {
			$stripped = $this->strip_invalid_text_from_query( $query );
			$this->flush(); // that may have asked the database
			if ( $stripped !== $query ) {
				$this->insert_id  = 0;
				$this->last_query = $query;
				wp_load_translations_early();
				$this->last_error = __( 'WordPress database error: Could not perform query because it contains invalid data.' );
				return false;
			}
		}
		$this->check_current_query = true;
		$this->last_query          = $query;

		$this->run( $query, Sql::parse( $query ) );

		if ( '' !== $this->last_error ) {
			if ( $this->insert_id && preg_match( '/^\s*(insert|replace)\s/i', $query ) ) {
				$this->insert_id = 0;
			}
			$this->print_error( $this->last_error );
			return false;
		}
		if ( preg_match( '/^\s*(create|alter|truncate|drop)\s/i', $query ) ) {
			return $this->result;
		}
		if ( preg_match( '/^\s*(insert|delete|update|replace)\s/i', $query ) ) {
			$this->rows_affected = mysqli_affected_rows( $this->dbh );
			if ( preg_match( '/^\s*(insert|replace)\s/i', $query ) ) {
				$this->insert_id = mysqli_insert_id( $this->dbh );
			}
			return $this->rows_affected;
		}
		if ( $this->result instanceof \mysqli_result ) {
			while ( $row = mysqli_fetch_object( $this->result ) ) {
				$this->last_result[] = $row;
			}
		}
		$this->num_rows = count( $this->last_result );
		return $this->num_rows;
	}

	/** Chooses the server, and another when that one fails. The outcome is in $result and $last_error. */
	private function run( string $query, Sql $statement ): void {
		if ( Sql::WRITE === $statement->kind ) {
			Freshness::wrote( $statement->tables );
			$this->remember( $statement, $query );
		}
		if ( $this->platen_broken && ! $this->mend( $statement ) ) {
			return;
		}
		$follows = Sql::FOLLOW === $statement->kind ? ( $statement->selects ? $this->platen_selected : $this->platen_last ) : null;
		if ( null !== $follows && $follows === $this->platen_reader ) {
			$this->send( $follows, $query, $statement );
			if ( in_array( mysqli_errno( $follows->mysqli ), self::LOST, true ) ) {
				$this->drop( $follows ); // what it knew is lost with it; the error stands
			}
			return;
		}
		if ( $this->fitsReader( $statement ) && $this->runOnReader( $query, $statement, false ) ) {
			return;
		}
		$this->runOnWriter( $query, $statement );
	}

	private function fitsReader( Sql $statement ): bool {
		if ( ! $this->platen_split || Sql::READ !== $statement->kind || $this->platen_pinned || $this->platen_transaction ) {
			return false;
		}
		$written = Freshness::writtenTables();
		return array() === $written || array() === $statement->tables
			|| ( ! in_array( '*', $written, true ) && ! in_array( '*', $statement->tables, true ) && array() === array_intersect( $statement->tables, $written ) );
	}

	/** True when the reader's answer stands, also when it is an error of the statement's own. */
	private function runOnReader( string $query, Sql $statement, bool $anyLag ): bool {
		$link = $this->reader( $anyLag );
		if ( null === $link ) {
			return false;
		}
		if ( null !== $this->platen_lag ) {
			Freshness::read( $statement->tables );
			if ( $this->platen_lag > Freshness::LAG_BOUND ) {
				Freshness::old(); // better than no page, but nothing of it is kept
			}
		}
		$this->send( $link, $query, $statement );
		$errno = mysqli_errno( $link->mysqli );
		if ( in_array( $errno, self::LOST, true ) || in_array( $errno, self::REFUSED, true ) ) {
			error_log( "platen: database reader {$link->server}: {$this->last_error}; the writer answers instead" );
			$this->drop( $link );
			$this->down( 'reader' );
			return false;
		}
		// A table or column that is not there may only not be there yet.
		return 0 === $errno || in_array( $errno, self::FINAL, true );
	}

	private function runOnWriter( string $query, Sql $statement ): void {
		$free  = ! $this->platen_transaction && ! $this->platen_bound;
		$reads = Sql::READ === $statement->kind;
		for ( $retried = false; ; $retried = true ) {
			$link = $this->writer( ! $reads );
			// A read does not wait for the writer while a reader can answer it.
			if ( null === $link && $reads && $free ) {
				if ( $this->runOnReader( $query, $statement, true ) ) {
					return;
				}
				$link = $this->platen_split ? null : $this->writer( true ); // a page does not wait
				if ( null === $link ) {
					$this->end();
				}
			}
			if ( null === $link ) {
				return; // writer() said why
			}
			if ( ! $reads && microtime( true ) - $link->used > self::IDLE && ! $link->alive() ) {
				// It was cut while nothing ran on it: nothing can run twice. What it held is lost.
				$this->drop( $link );
				if ( ! $free ) {
					$this->last_error = "the connection to the database writer {$this->dbhost} was lost, and with it what was begun on it; nothing was changed by this statement";
					return;
				}
				if ( $retried ) {
					$this->last_error = "the database writer {$this->dbhost} cuts connections";
					return;
				}
				continue;
			}
			$this->send( $link, $query, $statement );
			$errno = mysqli_errno( $link->mysqli );
			if ( 0 === $errno ) {
				$this->note( $statement );
				return;
			}
			$lost    = in_array( $errno, self::LOST, true );
			$refused = in_array( $errno, self::REFUSED, true ) && ! ( 1792 === $errno && ! $free );
			if ( ! $lost && ! $refused ) {
				return;
			}
			$error = $this->last_error;
			$this->drop( $link );
			// A write that the server may have run is never repeated; one that it refused is, once.
			if ( $retried || ! $free || ! ( $reads || ( $refused && Sql::WRITE === $statement->kind && $statement->atomic ) ) ) {
				if ( $reads ) {
					Freshness::old(); // a page that lacks this is kept nowhere
				}
				$this->last_error = $error . ( $lost && Sql::WRITE === $statement->kind ? ' (the connection to the database writer was lost: this change may or may not have been made)' : '' );
				return;
			}
			$this->last_error = '';
		}
	}

	/** Sends a statement on a link and keeps the outcome, as wpdb does. */
	private function send( Link $link, string $query, Sql $statement ): void {
		if ( defined( 'SAVEQUERIES' ) && SAVEQUERIES ) {
			$this->timer_start();
		}
		$this->dbh        = $link->mysqli;
		$this->result     = mysqli_query( $link->mysqli, $query );
		$this->last_error = mysqli_error( $link->mysqli );
		$link->used       = microtime( true );

		$this->platen_last = $link;
		if ( $statement->selects ) {
			$this->platen_selected = $link;
		}
		++$this->platen_count[ $link === $this->platen_reader ? 'reader' : 'writer' ];
		++$this->num_queries;
		if ( defined( 'SAVEQUERIES' ) && SAVEQUERIES ) {
			$this->log_query(
				$query,
				$this->timer_stop(),
				$this->get_caller(),
				$this->time_start,
				array( 'platen' => $link === $this->platen_reader ? 'reader' : 'writer' )
			);
		}
	}

	/** What a statement that has run leaves on the writer's connection. */
	private function note( Sql $statement ): void {
		$this->platen_bound       = $this->platen_bound || $statement->binds;
		$this->platen_pinned      = $this->platen_pinned || 'pin' === $statement->transaction;
		$this->platen_transaction = match ( $statement->transaction ) {
			'begin' => true,
			'end'   => false,
			default => $this->platen_transaction,
		};
	}

	/**
	 * After a transaction lost its connection. What is left of it must not run, and be kept, alone:
	 * false until it is ended.
	 */
	private function mend( Sql $statement ): bool {
		if ( '' === $statement->transaction || 'pin' === $statement->transaction ) {
			$this->last_error = 'the transaction’s connection to the database was lost: it was rolled back, and this statement did not run';
			return false;
		}
		$this->platen_broken = false;
		if ( 'end' === $statement->transaction && 0 !== stripos( ltrim( (string) $this->last_query ), 'rollback' ) ) {
			$this->last_error = 'the transaction’s connection to the database was lost: it was rolled back';
			return false;
		}
		return true;
	}

	/**
	 * The writer's link. Null, with the reason in $last_error, when there is none.
	 *
	 * @param bool $wait whether to look for it for some time. A visitor's page never does: what it writes
	 *                   by the way is not worth that it waits.
	 */
	private function writer( bool $wait ): ?Link {
		if ( null !== $this->platen_writer ) {
			return $this->platen_writer;
		}
		$briefly = ! $wait || $this->platen_split;
		// One statement of a request waits for the writer, not each: the next ones fail at once.
		if ( ( $briefly && $this->isDown( 'writer' ) ) || ( ( $briefly || $this->platen_gave_up ) && $this->failedLately( 'writer' ) ) ) {
			$this->last_error = "the database writer {$this->dbhost} is away" . ( '' === $this->platen_why ? '' : ": {$this->platen_why}" );
			return null;
		}
		$patience = $briefly || $this->platen_gave_up ? 0.0 : $this->platen_patience;
		$until  = microtime( true ) + $patience;
		$denied = 0;
		while ( true ) {
			try {
				$link = $this->open( $this->dbhost, $this->platen_split ? self::ANSWER : null, null );
				if ( ! $link->readOnly ) {
					$this->up( 'writer' );
					$this->last_error     = '';
					$this->platen_gave_up = false;
					$this->platen_writer  = $link;
					$this->join( $link );
					return $link;
				}
				$link->mysqli->close(); // a writer no longer: the name will lead to the new one
				$this->last_error = "the database writer {$this->dbhost} ({$link->server}) takes no writes: it is read-only";
			} catch ( \mysqli_sql_exception $e ) {
				$this->last_error = $e->getMessage();
				// A new password is there a moment before or after the server knows it; the task has the
				// one that it started with.
				if ( 1045 === $e->getCode() && ( ++$denied > 1 || ! $wait ) ) {
					$this->last_error .= '; if the password was changed, start new tasks (platen deploy)';
					return null;
				}
			}
			if ( microtime( true ) >= $until ) {
				break;
			}
			usleep( 250_000 );
		}
		$this->platen_gave_up = $wait || $this->platen_gave_up;
		$this->platen_why     = $this->last_error;
		$this->down( 'writer' );
		return null;
	}

	/**
	 * Lets go of the reader's link when the reader endpoint has led to the writer itself (a single
	 * node, a cluster without readers): one connection a request is enough there.
	 */
	private function join( Link $writer ): void {
		$reader = $this->platen_reader;
		if ( null !== $reader && null === $this->platen_lag && $reader->server === $writer->server && $reader !== $this->platen_selected && $reader !== $this->platen_last ) {
			$this->drop( $reader );
			$this->platen_pinned = true;
		}
	}

	/**
	 * The link of a reader that is fit to be read from. Null when there is none.
	 *
	 * @param bool $anyLag also from one that lags too much, or cannot say
	 */
	private function reader( bool $anyLag ): ?Link {
		$link = $this->platen_reader;
		if ( null !== $link && microtime( true ) > $link->expires ) {
			$this->drop( $link ); // so that new readers get work
			$link = null;
		}
		if ( null === $link ) {
			if ( '' === $this->platen_reader_address || ( $this->isDown( 'reader' ) && ! $anyLag ) || $this->failedLately( 'reader' ) ) {
				return null;
			}
			try {
				$link = $this->open( $this->platen_reader_address, self::ANSWER, $this->platen_split ? Config::TABLE_PREFIX . 'platen_changes' : null );
			} catch ( \mysqli_sql_exception $e ) {
				error_log( "platen: database reader: {$e->getMessage()}; the writer answers instead" );
				$this->down( 'reader' );
				return null;
			}
			$this->up( 'reader' );
			$this->platen_reader = $link;
			$this->platen_lag_at = 0.0;
		}
		if ( microtime( true ) - $this->platen_lag_at > 1.0 ) {
			$first               = 0.0 === $this->platen_lag_at;
			$this->platen_lag    = ( new Replica( $link->server, $link->readOnly, array( $link, 'ask' ) ) )->lag();
			$this->platen_lag_at = microtime( true );
			if ( $first && null !== $this->platen_lag && null !== $link->version ) {
				Freshness::seen( $link->version );
			}
		}
		return $anyLag || null === $this->platen_lag || $this->platen_lag <= Freshness::LAG_BOUND ? $link : null;
	}

	/** Opens a link that is set up as WordPress expects it, in one round trip. */
	private function open( string $address, ?int $answer, ?string $changes ): Link {
		// The same on every link: the classifier and the escaping rely on the last two.
		$modes = array_unique( array_merge( (array) apply_filters( 'incompatible_sql_modes', $this->incompatible_modes ), array( 'ANSI_QUOTES', 'NO_BACKSLASH_ESCAPES' ) ) );
		$mode  = "CONCAT(',', @@sql_mode, ',')";
		foreach ( $modes as $name ) {
			$mode = sprintf( "REPLACE(%s, ',%s,', ',')", $mode, preg_replace( '~[^A-Z0-9_]~', '', strtoupper( (string) $name ) ) );
		}
		$names = sprintf( "NAMES '%s'", addslashes( (string) $this->charset ) ) . ( $this->collate ? sprintf( " COLLATE '%s'", addslashes( (string) $this->collate ) ) : '' );
		return Link::open(
			array( 'user' => $this->dbuser, 'password' => $this->dbpassword, 'name' => $this->dbname ),
			$address,
			self::CONNECT,
			$answer,
			"SET $names, SESSION sql_mode = TRIM(BOTH ',' FROM $mode)",
			$changes,
			self::AGE + random_int( 0, 500 ) / 1000 * self::AGE
		);
	}

	private function drop( Link $link ): void {
		if ( $this->result instanceof \mysqli_result && $this->dbh === $link->mysqli ) {
			$this->result = null;
		}
		if ( $this->dbh === $link->mysqli ) {
			$this->dbh = null;
		}
		foreach ( array( 'platen_writer', 'platen_reader', 'platen_selected', 'platen_last' ) as $role ) {
			if ( $this->$role === $link ) {
				if ( 'platen_writer' === $role ) {
					$this->platen_broken      = $this->platen_broken || $this->platen_transaction;
					$this->platen_transaction = false;
					$this->platen_bound       = false;
				}
				$this->$role = null;
			}
		}
		try {
			@$link->mysqli->close();
		} catch ( \Error ) {
			return; // closed already
		}
	}

	/**
	 * Nobody can be asked. A visitor's page ends here as long as nothing of it has gone out: one that
	 * lacks what could not be read is no page. Elsewhere WordPress ends a request that no server has
	 * answered yet; later than that its code handles the error.
	 */
	private function end(): void {
		Freshness::old(); // what goes on all the same is kept nowhere
		$goes_on = $this->platen_split ? headers_sent() : $this->platen_answered || did_action( 'template_redirect' );
		if ( $goes_on || ! function_exists( 'dead_db' ) ) {
			return;
		}
		error_log( "platen: no database: {$this->last_error}" );
		while ( $this->platen_split && ob_get_level() > 0 && ob_end_clean() ) {
			continue; // the beginning of the page
		}
		$this->ready = false; // the page that says so asks for options: each would come here again
		$this->error = '<h1>' . __( 'Error establishing a database connection' ) . '</h1>';
		dead_db();
	}

	/** Whether another request of the task has just found the server gone. */
	private function isDown( string $role ): bool {
		return function_exists( 'apcu_enabled' ) && apcu_enabled() && apcu_exists( "platen.db.down.$role" );
	}

	/**
	 * Whether this very request has found the server gone: a visitor's page does not try it again, others
	 * not at once. Jobs have the time.
	 */
	private function failedLately( string $role ): bool {
		$at = $this->platen_failed[ $role ];
		return $at > 0.0 && ( $this->platen_split || ( $this->platen_patience < self::PATIENCE_JOB && microtime( true ) - $at < self::AGAIN ) );
	}

	private function down( string $role ): void {
		$this->platen_failed[ $role ] = microtime( true );
		if ( function_exists( 'apcu_enabled' ) && apcu_enabled() ) {
			apcu_store( "platen.db.down.$role", true, self::PAUSE );
		}
	}

	private function up( string $role ): void {
		$this->platen_answered        = true;
		$this->platen_failed[ $role ] = 0.0;
		if ( function_exists( 'apcu_enabled' ) && apcu_enabled() ) {
			apcu_delete( "platen.db.down.$role" );
		}
	}

	/**
	 * Tells the visitor's browser that he has written, so that his next requests, on any task, read
	 * from the writer and are not answered from a page cache.
	 *
	 * Not for what pages write by themselves, which would end page caching for everybody: transients,
	 * the list of events and the like; nor for what a plain view of a page writes, such as a plugin's
	 * counter of views. A GET with a query may be an action (?add-to-cart=7) and counts.
	 */
	private function remember( Sql $statement, string $query ): void {
		$viewing = in_array( $_SERVER['REQUEST_METHOD'] ?? '', array( 'GET', 'HEAD' ), true ) && '' === (string) ( $_SERVER['QUERY_STRING'] ?? '' );
		if ( 'cli' === PHP_SAPI || defined( 'DOING_CRON' ) || $viewing || headers_sent() || time() - $this->platen_told < 1
			|| $statement->ofCourse( $query, Config::TABLE_PREFIX ) ) {
			return;
		}
		$this->platen_told = (float) time();
		setcookie(
			self::COOKIE,
			'1',
			array(
				'expires'  => time() + (int) ceil( Freshness::LAG_BOUND / 1000 ) + 4,
				'path'     => defined( 'COOKIEPATH' ) && COOKIEPATH ? COOKIEPATH : '/',
				'domain'   => defined( 'COOKIE_DOMAIN' ) && COOKIE_DOMAIN ? COOKIE_DOMAIN : '',
				'secure'   => str_starts_with( (string) Config::values()['home'], 'https:' ),
				'httponly' => true,
				'samesite' => 'Lax',
			)
		);
	}

	/**
	 * Connects to the writer, if it is not. False when it cannot be reached.
	 *
	 * @param bool $allow_bail whether a failure may end the page
	 */
	public function db_connect( $allow_bail = true ) {
		$this->ready = null !== $this->writer( true );
		if ( ! $this->ready && $allow_bail ) {
			$this->end();
		}
		return $this->ready;
	}

	/**
	 * Whether the writer answers; connects again when it does not, for as long as this kind of
	 * request may wait. It never ends the page: the next statement fails clearly.
	 *
	 * @param bool $allow_bail
	 */
	public function check_connection( $allow_bail = true ) {
		if ( null !== $this->platen_writer && ! $this->platen_writer->alive() ) {
			$this->drop( $this->platen_writer );
		}
		return null !== $this->writer( true );
	}

	/** Closes all connections; nothing can be asked until db_connect(). */
	public function close() {
		$open = array_filter( array( $this->platen_writer, $this->platen_reader ) );
		foreach ( $open as $link ) {
			$this->drop( $link );
		}
		if ( array() !== $open ) {
			$this->ready = false;
		}
		return array() !== $open;
	}

	/**
	 * Changes the database on the writer's connection, which serves this request alone from then on.
	 *
	 * @param string       $db
	 * @param \mysqli|null $dbh
	 */
	public function select( $db, $dbh = null ) {
		if ( null === $dbh ) {
			$this->dbh = $this->alone();
			if ( null === $this->dbh ) {
				$this->ready = false;
				return;
			}
		}
		parent::select( $db, $dbh );
	}

	/**
	 * Changes SQL's mode on the writer's connection, which serves this request alone from then on.
	 *
	 * @param list<string> $modes
	 */
	public function set_sql_mode( $modes = array() ) {
		$this->dbh = $this->alone();
		if ( null !== $this->dbh ) {
			parent::set_sql_mode( $modes );
		}
	}

	/** The server's version as it says it; '' when no server can be reached. */
	public function db_server_info() {
		$link = $this->platen_writer ?? $this->platen_reader ?? ( $this->platen_split ? $this->reader( true ) : null ) ?? $this->writer( true );
		return null === $link ? '' : mysqli_get_server_info( $link->mysqli );
	}

	/** The writer's connection for one who goes around this class; null when it cannot be reached. */
	private function alone(): ?\mysqli {
		$this->platen_pinned = true;
		$this->platen_bound  = true;
		return $this->writer( true )?->mysqli;
	}

	/**
	 * $wpdb->dbh, of which plugins make use, is the writer's connection. What they do with it cannot
	 * be seen, so that reads go there too from then on.
	 *
	 * @param string $name
	 */
	public function __get( $name ) {
		return 'dbh' === $name ? $this->alone() : parent::__get( $name );
	}

	/** @param string $name */
	public function __isset( $name ) {
		return 'dbh' === $name || parent::__isset( $name );
	}

	/**
	 * Escapes for a string in quotes. In UTF-8 no byte of another character is one of these, and every
	 * link has backslashes that escape: no connection is needed.
	 *
	 * @param mixed $data
	 */
	public function _real_escape( $data ) {
		if ( ! is_scalar( $data ) ) {
			return '';
		}
		return $this->add_placeholder_escape(
			strtr(
				(string) $data,
				array(
					"\0"   => '\\0',
					"\n"   => '\\n',
					"\r"   => '\\r',
					'\\'   => '\\\\',
					"'"    => "\\'",
					'"'    => '\\"',
					"\x1a" => '\\Z',
				)
			)
		);
	}

	/**
	 * @param string $str
	 */
	public function print_error( $str = '' ) {
		return parent::print_error( $str ?: $this->last_error ?: 'unknown error' );
	}

	/** Who asked, without this class and its parent. */
	public function get_caller() {
		$calls = wp_debug_backtrace_summary( __CLASS__, 0, false );
		return implode( ', ', array_reverse( array_filter( $calls, static fn( string $call ) => ! str_starts_with( $call, 'wpdb->' ) ) ) );
	}
}
