<?php
/** Stands on the test site's share as a plugin's file that visitors reach, and does what ?do= says. */
if ( 'slow' === $_GET['do'] ) {
	define( 'PLATEN_SLOW', 0.001 );
}
require '/usr/share/wordpress/wp-load.php';

nocache_headers();
header( 'Content-Type: application/json' );
switch ( $_GET['do'] ) {
	case 'who':
		$answer = array( 'address' => $_SERVER['REMOTE_ADDR'], 'https' => is_ssl(), 'host' => $_SERVER['HTTP_HOST'] );
		break;
	case 'complain':
		trigger_error( 'a warning of the probe', E_USER_WARNING );
		error_log( 'a word of the probe' );
		throw new Exception( 'an error of the probe' );
	case 'slow':
		wp_remote_get( home_url( '/wp-content/plugins/probe/probe.php?do=who' ) );
		$answer = array();
		break;
	case 'count': // in the session, slowly enough to be overtaken
		session_start();
		$seen = $_SESSION['count'] ?? 0;
		usleep( 30000 );
		$_SESSION['count'] = $seen + 1;
		$answer            = array( 'count' => $seen + 1, 'task' => gethostname() );
		break;
	case 'read':
		session_start();
		$answer = $_SESSION;
		break;
	case 'loopback': // asks the site, in the same session
		session_start();
		$_SESSION['before'] = 'kept';
		$cookies            = array( session_name() => session_id() );
		$other              = wp_remote_get( home_url( '/wp-content/plugins/probe/probe.php?do=count' ), array( 'cookies' => $cookies, 'timeout' => 30 ) );
		$_SESSION['after']  = 'kept';
		$answer             = array( 'other' => wp_remote_retrieve_response_code( $other ), 'here' => $_SESSION );
		break;
	case 'late': // what plugins do when the page has been made
		session_start();
		$_SESSION['early'] = 'kept';
		add_action( 'shutdown', static fn() => $_SESSION['late'] = 'kept' );
		$answer = array();
		break;
	case 'hold':
		session_start();
		$_SESSION['holder'] = 'kept';
		echo str_repeat( ' ', 5000 ); // more than a buffer, so that whoever waits for it knows
		ob_end_flush();
		flush();
		for ( $i = 0; $i < 600 && ! file_exists( __DIR__ . '/release' ); $i++ ) {
			usleep( 50000 );
			clearstatcache();
		}
		$answer = array();
		break;
	case 'robbed': // somebody else has the session when this request is to save it
		session_start();
		$_SESSION['robbed'] = 'lost';
		$where              = parse_url( ini_get( 'session.save_path' ) );
		parse_str( $where['query'], $options );
		$redis = new Redis();
		$redis->connect( "{$where['scheme']}://{$where['host']}", $where['port'], 2, null, 0, 2, array( 'auth' => array( $options['auth'] ), 'stream' => array( 'cafile' => ini_get( 'openssl.cafile' ) ) ) );
		$lock   = $options['prefix'] . session_id() . '_LOCK';
		$answer = array( 'locked' => $redis->set( $lock, 'another', array( 'xx', 'ex' => 60 ) ) );
		$mark   = static fn( string $when ) => file_put_contents( __DIR__ . '/ended', "$when\n", FILE_APPEND );
		add_action( 'shutdown', static fn() => $mark( 'action' ) );
		register_shutdown_function(
			static function () use ( $mark, $redis, $lock ): void {
				$redis->del( $lock );
				$mark( 'function' );
			}
		);
		break;
	case 'ended':
		$answer = file_exists( __DIR__ . '/ended' ) ? file( __DIR__ . '/ended', FILE_IGNORE_NEW_LINES ) : array();
		break;
	case 'impatient':
		ini_set( 'redis.session.lock_retries', '2' );
		session_start();
		$_SESSION['impatient'] = 'lost';
		$answer                = array( 'went on' => true );
		break;
	default:
		$answer = require __DIR__ . '/version.php';
}
echo json_encode( $answer );
