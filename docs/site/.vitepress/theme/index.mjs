/** The default theme with more room for tables and commands. */
import DefaultTheme from 'vitepress/theme';
import './room.css';

export default DefaultTheme;
